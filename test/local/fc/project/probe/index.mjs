// Does what its event says; events of triggers are answered with what arrived and kept in a file when one is named.
import { appendFileSync } from 'node:fs';

export const handler = async (event, context) => {
  const request = JSON.parse(event.toString('utf8'));
  if (process.env.PROBE_FILE)
    appendFileSync(
      process.env.PROBE_FILE,
      `${JSON.stringify({ request, requestId: context.requestId, retryCount: context.retryCount, pid: process.pid })}\n`,
    );
  const command = command_of(request);
  switch (command.do) {
    case 'throw':
      throw new TypeError('as asked');
    case 'exit':
      process.exit(3);
      break;
    case 'hang':
      return new Promise(() => {});
    case 'spin':
      for (;;);
    case 'fill': {
      const held = [];
      for (;;) {
        held.push(Buffer.alloc(64 * 1024 * 1024, 1));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    case 'sleep':
      await new Promise((resolve) => setTimeout(resolve, command.ms));
      return { pid: process.pid };
    case 'environment':
      return process.env;
    case 'context':
      return { ...context, logger: Object.keys(context.logger) };
    case 'print':
      console.log('first line');
      console.error('second line');
      return 'printed';
    case 'bytes':
      return Buffer.from([0, 255, 128]);
    default:
      return request;
  }
};

export const callback = (event, _context, answer) => {
  const text = event.toString('utf8');
  if (text === 'fail') answer(new Error('handled'));
  else answer(null, text.toUpperCase());
};

function command_of(request) {
  if (!Array.isArray(request)) return request;
  try {
    return JSON.parse(request[0].data.messageBody);
  } catch {
    return {};
  }
}
