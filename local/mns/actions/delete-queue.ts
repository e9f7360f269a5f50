import { type Action, checkQueueName } from '../request.ts';

/** `DELETE /queues/{name}`; of a queue that is not there, too. */
export const deleteQueue: Action = async ({ queueName, store }) => {
  checkQueueName(queueName);
  await store.remove(queueName);
  return { status: 204 };
};
