import { describe, expect, it } from 'vitest';
import { readDeadLetter, writeDeadLetter } from '../../../shared/queue/dead-letter.ts';

describe('readDeadLetter', () => {
  it('reads back what a function wrote', () => {
    const letter = {
      queueName: 'datamap-collection',
      messageId: 'M1',
      reason: 'InvalidInput: message: is not JSON',
      functionName: 'datamap-plan-collection',
      requestId: '1-a',
      failedAt: new Date('2026-01-15T08:30:00Z'),
      body: '“garbage”',
    };
    expect(readDeadLetter(writeDeadLetter(letter))).toEqual(letter);
  });

  it('reads the event that a stream leaves after its last try', () => {
    const event = {
      type: 'mns:Queue:SendMessage',
      subject: 'acs:mns:cn-hangzhou:1234:queues/datamap-table-bulk',
      data: { messageId: 'M1', messageBody: '{"a":1}' },
    };
    expect(readDeadLetter(JSON.stringify(event))).toEqual({ queueName: 'datamap-table-bulk', messageId: 'M1', body: '{"a":1}' });
  });

  it('reads the report of an asynchronous invocation', () => {
    const report = {
      requestContext: { requestId: '1-a', condition: 'RetriesExhausted' },
      requestPayload: '{"events":[]}',
      responsePayload: '{"errorMessage":"database not reachable"}',
    };
    expect(readDeadLetter(JSON.stringify(report))).toEqual({
      requestId: '1-a',
      reason: 'database not reachable',
      body: '{"events":[]}',
    });
  });

  it.each(['{"specversion":"1.0","data":{}}', 'garbage', '[1]', 'null', ''])(
    'takes anything else, %j, as the message itself',
    (text) => {
      expect(readDeadLetter(text)).toEqual({ body: text });
    },
  );
});
