import { MnsError } from '../error.ts';
import { DEFAULT_ATTRIBUTES, readAttributes } from '../queue-attributes.ts';
import { type Action, checkQueueName } from '../request.ts';

/** `PUT /queues/{name}` */
export const createQueue: Action = async ({ queueName, body, store, url }) => {
  checkQueueName(queueName);
  const headers = { location: `${url}/queues/${queueName}` };
  const outcome = await store.create(queueName, readAttributes(body, DEFAULT_ATTRIBUTES));
  if (outcome === 'different') throw new MnsError('QueueAlreadyExist', 'A queue of this name exists with other attributes.');
  return { status: outcome === 'created' ? 201 : 204, headers };
};
