-- Queues of the local platform. Times are milliseconds since 1970, by the endpoint's clock.
create schema if not exists local_queue;

create table if not exists local_queue.queue (
  name text primary key,
  delay_seconds int not null,
  maximum_message_size int not null,
  message_retention_period int not null,
  visibility_timeout int not null,
  polling_wait_seconds int not null,
  logging_enabled boolean not null,
  -- Both null: no dead-letter policy.
  dead_letter_queue text,
  max_receive_count int,
  created_at_ms bigint not null,
  modified_at_ms bigint not null
);

create table if not exists local_queue.message (
  id bigint generated always as identity primary key,
  message_id text not null,
  queue_name text not null references local_queue.queue on delete cascade,
  body text not null,
  priority int not null,
  enqueued_at_ms bigint not null,
  visible_at_ms bigint not null,
  expires_at_ms bigint not null,
  first_dequeued_at_ms bigint,
  dequeue_count int not null default 0,
  -- Valid until the message becomes visible again.
  receipt_handle text
);

create index if not exists message_next on local_queue.message (queue_name, priority, visible_at_ms);
create unique index if not exists message_handle on local_queue.message (receipt_handle) where receipt_handle is not null;
