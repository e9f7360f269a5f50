import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readObjectEvents } from '../../../functions/watch-objects/object-event.ts';

const record = (change: object = {}) => ({
  eventName: 'ObjectCreated:PutObject',
  eventSource: 'acs:oss',
  eventTime: '2026-01-15T08:30:00.000Z',
  region: 'cn-hangzhou',
  oss: { bucket: { name: 'lake' }, object: { key: 'wh/d.db/t/snapshot/snapshot-3', size: 12 } },
  ...change,
});
const expected = {
  bucket: 'lake',
  region: 'cn-hangzhou',
  key: 'wh/d.db/t/snapshot/snapshot-3',
  name: 'ObjectCreated:PutObject',
  time: new Date('2026-01-15T08:30:00.000Z'),
};
const cloudEvent = (data: unknown, change: object = {}) => ({
  id: '1',
  source: 'acs.oss',
  specversion: '1.0',
  type: 'oss:ObjectCreated:PutObject',
  time: '2026-01-15T08:30:00Z',
  aliyunregionid: 'cn-hangzhou',
  data,
  ...change,
});

describe('object events', () => {
  it.each<[string, unknown]>([
    ['of the native trigger', { events: [record()] }],
    ['of EventBridge', cloudEvent(record())],
    ['of EventBridge in a batch', [cloudEvent(record())]],
    ['of EventBridge with the name in the envelope only', cloudEvent(record({ eventName: undefined, eventTime: undefined }))],
    [
      'in a queue message, base64',
      [
        cloudEvent(
          { messageId: 'm', messageBody: Buffer.from(JSON.stringify({ events: [record()] })).toString('base64') },
          { source: 'acs.mns', type: 'mns:Queue:SendMessage', subject: 'acs:mns:cn-hangzhou:1:queues/datamap-object-events' },
        ),
      ],
    ],
    [
      'in a queue message, decoded',
      [cloudEvent({ messageId: 'm', messageBody: { events: [record()] } }, { source: 'acs.mns', type: 'mns:Queue:SendMessage' })],
    ],
  ])('%s are understood', (_, event) => {
    expect(readObjectEvents(event)).toEqual({ events: [expected], malformed: 0, irrelevant: 0 });
  });

  it('of samples that put the region below oss, with a prefix', () => {
    const { events } = readObjectEvents({
      events: [record({ region: undefined, oss: { region: 'oss-cn-beijing', bucket: { name: 'b' }, object: { key: 'k/k' } } })],
    });
    expect(events[0]).toMatchObject({ region: 'cn-beijing', bucket: 'b', key: 'k/k' });
  });

  it('that bring or take nothing are counted apart', () => {
    const names = [
      'ObjectCreated:UploadPart',
      'ObjectCreated:InitiateMultipartUpload',
      'ObjectRemoved:AbortMultipartUpload',
      'ObjectModified:UpdateObjectMeta',
    ];
    expect(readObjectEvents({ events: names.map((eventName) => record({ eventName })) })).toEqual({
      events: [],
      malformed: 0,
      irrelevant: 4,
    });
  });

  it('that are none do not throw and spoil no neighbour', () => {
    const others = [
      null,
      1,
      'x',
      {},
      { oss: {} },
      record({ oss: { bucket: { name: 'b' } } }),
      record({ oss: { bucket: {}, object: { key: 'k' } } }),
    ];
    const read = readObjectEvents({ events: [...others, record()] });
    expect(read.events).toEqual([expected]);
    expect(read.malformed).toBe(others.length);
    for (const event of [null, 7, 'text', [], {}, [[]], { events: {} }, { data: 1 }])
      expect(readObjectEvents(event).events).toEqual([]);
  });

  it('keep their key as it stands unless every slash in it is encoded', () => {
    const keyOf = (key: string) =>
      readObjectEvents({ events: [record({ oss: { bucket: { name: 'b' }, object: { key } } })] }).events[0]!.key;
    expect(keyOf('wh/d.db/t/p=%2F/bucket-0/f')).toBe('wh/d.db/t/p=%2F/bucket-0/f');
    expect(keyOf('wh%2Fd.db%2Ft%2Fsnapshot%2Fsnapshot-1')).toBe('wh/d.db/t/snapshot/snapshot-1');
    expect(keyOf('wh%2Fd.db%2Ft%ZZ')).toBe('wh%2Fd.db%2Ft%ZZ');
  });

  it('of the recorded samples are all understood', () => {
    const folder = 'events/watch-objects';
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const read = readObjectEvents(JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')));
      expect(read.malformed, file).toBe(0);
      expect(read.events.length + read.irrelevant, file).toBeGreaterThan(0);
    }
  });
});
