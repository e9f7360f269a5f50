import type { WarehouseLocation } from './data-source.ts';
import { QUEUES } from './messages.ts';

/** Kinds of object events that a warehouse needs: `ObjectCreated:*` would bring every part of a multipart upload as well. */
export const OBJECT_EVENTS = [
  'ObjectCreated:PutObject',
  'ObjectCreated:PostObject',
  'ObjectCreated:CopyObject',
  'ObjectCreated:AppendObject',
  'ObjectCreated:CompleteMultipartUpload',
  'ObjectRemoved:DeleteObject',
  'ObjectRemoved:DeleteObjects',
] as const;

export interface EventSetupAsked {
  warehouse: WarehouseLocation;
  /** Of the storage bucket. */
  region: string;
  /** Of this installation; `region` empty: not known. */
  installation: { accountId: string; region: string };
  /** That the warehouse's role belongs to; undefined: not known. */
  ownerAccountId?: string;
}

/** What must be configured so that commits to a warehouse are heard of at once. Either way is enough. */
export interface EventSetup {
  events: readonly string[];
  filter: { bucket: string; prefix: string };
  /** Why events cannot come this way, or what to look at first. */
  notes: string[];
  eventRule: { name: string; queue: string; terraform: string; steps: string[] };
  nativeTrigger: { variables: Record<string, string>; role: string; steps: string[] };
}

/** Pure. The prefix ends in `/`, so that a neighbour whose name begins alike stays outside. */
export function eventSetupOf({ warehouse, region, installation, ownerAccountId }: EventSetupAsked): EventSetup {
  const { bucket, prefix } = warehouse;
  const { accountId } = installation;
  const name = `datamap-${bucket}-${(prefix.replace(/[^a-zA-Z0-9]+/g, '-').replace(/-$/, '') || 'all').slice(0, 40)}`.slice(
    0,
    100,
  );
  const notes: string[] = [];
  if (ownerAccountId && ownerAccountId !== accountId)
    notes.push(
      `The bucket seems to belong to account ${ownerAccountId}, the data map runs in ${accountId}: OSS delivers events inside one account. Without a forwarding event bus the sweeps find its commits.`,
    );
  if (installation.region && installation.region !== region)
    notes.push(
      `The bucket is in ${region}, the data map in ${installation.region}: OSS delivers events inside one region. Without a forwarding event bus the sweeps find its commits.`,
    );
  notes.push('One object event must not come by both ways: it would do no harm, only work twice.');
  return {
    events: OBJECT_EVENTS,
    filter: { bucket, prefix },
    notes,
    eventRule: {
      name,
      queue: QUEUES.objectEvents,
      terraform: terraformOf(name, { bucket, prefix, region, accountId }),
      steps: [
        `Open the OSS console of ${region}, bucket ${bucket}, Data Processing, Event Notifications, and create a rule named ${name}.`,
        `Events: ${OBJECT_EVENTS.join(', ')}.`,
        prefix === '' ? 'Resource: the whole bucket.' : `Resource: prefix ${prefix}, no suffix.`,
        `Endpoint: queue ${QUEUES.objectEvents}.`,
      ],
    },
    nativeTrigger: {
      variables: { DATAMAP_EVENT_BUCKET: bucket, DATAMAP_EVENT_PREFIX: prefix },
      role: `acs:ram::${accountId}:role/aliyunosseventnotificationrole`,
      steps: [
        'Set these variables where you deploy from, and run s deploy: the trigger object-changed of watch-objects then watches this bucket.',
        'OSS needs the role to call functions; the Function Compute console makes it with the first OSS trigger of an account.',
        'A bucket takes ten native triggers at most, and two of them must not overlap. One bucket per installation: others take event rules.',
      ],
    },
  };
}

function terraformOf(name: string, at: { bucket: string; prefix: string; region: string; accountId: string }): string {
  return `resource "alicloud_message_service_event_rule" ${quoted(name)} {
  rule_name   = ${quoted(name)}
  event_types = [${OBJECT_EVENTS.map(quoted).join(', ')}]
  match_rules = [[{
    name        = ${quoted(`acs:oss:${at.region}:${at.accountId}:${at.bucket}`)}
    prefix      = ${quoted(at.prefix)}
    suffix      = ""
    match_state = "true"
  }]]
  endpoint {
    endpoint_type  = "queue"
    endpoint_value = ${quoted(QUEUES.objectEvents)}
  }
}
`;
}

/** A string of HCL: as in JSON, and what would begin a template is doubled. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/([$%])\{/g, '$1$1{');
}
