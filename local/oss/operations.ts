import { OssProblem } from './problem.ts';

/** OSS operations by the names of its API, each with the RAM action it needs. Source: help page "RAM policies" (2025). */
export const OPERATIONS = {
  ListBuckets: 'oss:ListBuckets',
  PutBucket: 'oss:PutBucket',
  DeleteBucket: 'oss:DeleteBucket',
  GetBucketInfo: 'oss:GetBucketInfo',
  GetBucketLocation: 'oss:GetBucketLocation',
  GetBucketAcl: 'oss:GetBucketAcl',
  ListObjects: 'oss:ListObjects',
  ListObjectsV2: 'oss:ListObjects',
  ListMultipartUploads: 'oss:ListMultipartUploads',
  DeleteMultipleObjects: 'oss:DeleteObject',
  GetObject: 'oss:GetObject',
  HeadObject: 'oss:GetObject',
  GetObjectMeta: 'oss:GetObject',
  GetObjectAcl: 'oss:GetObjectAcl',
  PutObject: 'oss:PutObject',
  CopyObject: 'oss:PutObject',
  DeleteObject: 'oss:DeleteObject',
  InitiateMultipartUpload: 'oss:PutObject',
  UploadPart: 'oss:PutObject',
  UploadPartCopy: 'oss:PutObject',
  CompleteMultipartUpload: 'oss:PutObject',
  AbortMultipartUpload: 'oss:AbortMultipartUpload',
  ListParts: 'oss:ListParts',
} as const;
export type Operation = keyof typeof OPERATIONS;

/** Sub-resources that real OSS has and this endpoint has not. */
const NOT_HERE = [
  'append',
  'symlink',
  'tagging',
  'restore',
  'callback',
  'x-oss-process',
  'versions',
  'worm',
  'policy',
  'lifecycle',
];

export function operationOf(request: {
  method: string;
  bucket: string;
  key: string;
  query: ReadonlyMap<string, string>;
  headers: Record<string, string | string[] | undefined>;
}): Operation {
  const { method, bucket, key, query, headers } = request;
  const missing = NOT_HERE.find((name) => query.has(name));
  if (missing) throw new OssProblem('NotImplemented', `This local endpoint has no "${missing}".`);
  const operation = bucket === '' ? ofService(method) : key === '' ? ofBucket(method, query) : ofObject(method, query, headers);
  if (!operation) throw new OssProblem('MethodNotAllowed', 'This local endpoint does not know this method here.');
  return operation;
}

function ofService(method: string): Operation | undefined {
  return method === 'GET' ? 'ListBuckets' : undefined;
}

function ofBucket(method: string, query: ReadonlyMap<string, string>): Operation | undefined {
  switch (method) {
    case 'GET':
      if (query.has('bucketInfo')) return 'GetBucketInfo';
      if (query.has('location')) return 'GetBucketLocation';
      if (query.has('acl')) return 'GetBucketAcl';
      if (query.has('uploads')) return 'ListMultipartUploads';
      return query.get('list-type') === '2' ? 'ListObjectsV2' : 'ListObjects';
    case 'HEAD':
      return 'GetBucketInfo';
    case 'PUT':
      return 'PutBucket';
    case 'DELETE':
      return 'DeleteBucket';
    case 'POST':
      return query.has('delete') ? 'DeleteMultipleObjects' : undefined;
  }
  return undefined;
}

function ofObject(
  method: string,
  query: ReadonlyMap<string, string>,
  headers: Record<string, string | string[] | undefined>,
): Operation | undefined {
  const isCopy = headers['x-oss-copy-source'] !== undefined;
  switch (method) {
    case 'GET':
      if (query.has('uploadId')) return 'ListParts';
      if (query.has('objectMeta')) return 'GetObjectMeta';
      return query.has('acl') ? 'GetObjectAcl' : 'GetObject';
    case 'HEAD':
      return query.has('objectMeta') ? 'GetObjectMeta' : 'HeadObject';
    case 'PUT':
      if (query.has('partNumber')) return isCopy ? 'UploadPartCopy' : 'UploadPart';
      if (query.has('acl')) return undefined;
      return isCopy ? 'CopyObject' : 'PutObject';
    case 'POST':
      if (query.has('uploads')) return 'InitiateMultipartUpload';
      return query.has('uploadId') ? 'CompleteMultipartUpload' : undefined;
    case 'DELETE':
      return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject';
  }
  return undefined;
}
