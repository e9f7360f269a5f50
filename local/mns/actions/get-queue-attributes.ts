import { type Action, requireQueue } from '../request.ts';
import { writeXml } from '../xml.ts';

/** `GET /queues/{name}` */
export const getQueueAttributes: Action = async (request) => {
  const queue = await requireQueue(request);
  return {
    status: 200,
    body: writeXml('Queue', {
      QueueName: queue.name,
      CreateTime: seconds(queue.createdAtMs),
      LastModifyTime: seconds(queue.modifiedAtMs),
      DelaySeconds: String(queue.delaySeconds),
      MaximumMessageSize: String(queue.maximumMessageSize),
      MessageRetentionPeriod: String(queue.messageRetentionPeriod),
      VisibilityTimeout: String(queue.visibilityTimeout),
      PollingWaitSeconds: String(queue.pollingWaitSeconds),
      ActiveMessages: String(queue.active),
      InactiveMessages: String(queue.inactive),
      DelayMessages: String(queue.delayed),
      LoggingEnabled: queue.loggingEnabled ? 'True' : 'False',
      ...(queue.deadLetter && {
        DlqPolicy: {
          Enabled: 'true',
          DeadLetterTargetQueue: queue.deadLetter.queueName,
          MaxReceiveCount: String(queue.deadLetter.maxReceiveCount),
        },
      }),
    }),
  };
};

function seconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}
