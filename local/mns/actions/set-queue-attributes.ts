import { readAttributes } from '../queue-attributes.ts';
import { type Action, requireQueue } from '../request.ts';

/** `PUT /queues/{name}?metaoverride=true`: what the body does not name stays. */
export const setQueueAttributes: Action = async (request) => {
  await requireQueue(request);
  await request.store.update(request.queueName, (present) => readAttributes(request.body, present));
  return { status: 204 };
};
