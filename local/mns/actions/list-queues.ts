import { LIST_QUEUES } from '../limits.ts';
import { type Action, numberIn } from '../request.ts';
import { writeXml } from '../xml.ts';

/** `GET /queues`; the marker is the last name of the page before. */
export const listQueues: Action = async ({ headers, store, url }) => {
  const header = (name: string) => (typeof headers[name] === 'string' ? headers[name] : '');
  const max = numberIn(header('x-mns-ret-number'), 'x-mns-ret-number', LIST_QUEUES);
  const names = await store.list({ prefix: header('x-mns-prefix'), marker: header('x-mns-marker'), max: max + 1 });
  const page = names.slice(0, max);
  return {
    status: 200,
    body: writeXml('Queues', {
      Queue: page.map((name) => ({ QueueURL: `${url}/queues/${name}` })),
      ...(names.length > max && { NextMarker: page.at(-1)! }),
    }),
  };
};
