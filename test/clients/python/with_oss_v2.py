"""The same through the newer Python client (V4 only). Arguments: endpoint, key id, secret, bucket."""

import json
import sys

import alibabacloud_oss_v2 as oss

endpoint, key_id, secret, bucket = sys.argv[1:5]
config = oss.config.load_default()
config.credentials_provider = oss.credentials.StaticCredentialsProvider(key_id, secret)
config.region = "cn-hangzhou"
config.endpoint = endpoint
config.use_path_style = True
config.disable_upload_crc64_check = True
config.disable_download_crc64_check = True
client = oss.Client(config)
seen = {}

for name in ["a b.txt", "dir/ä%20+&.txt", "dir/sub/x", "销售/订单"]:
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="pyv2/" + name, body=("content of " + name).encode()))
seen["roundtrip"] = client.get_object(oss.GetObjectRequest(bucket=bucket, key="pyv2/dir/ä%20+&.txt")).body.read().decode()
seen["range"] = client.get_object(oss.GetObjectRequest(bucket=bucket, key="pyv2/a b.txt", range_header="bytes=0-6")).body.read().decode()
seen["length"] = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="pyv2/a b.txt")).content_length
pages = client.list_objects_v2_paginator()
seen["keys"] = [
    item.key for page in pages.iter_page(oss.ListObjectsV2Request(bucket=bucket, prefix="pyv2/", max_keys=2)) for item in page.contents or []
]
page = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, prefix="pyv2/", delimiter="/"))
seen["folders"] = [p.prefix for p in page.common_prefixes or []]
client.copy_object(oss.CopyObjectRequest(bucket=bucket, key="pyv2/copied 订单", source_key="pyv2/销售/订单"))
seen["copied"] = client.get_object(oss.GetObjectRequest(bucket=bucket, key="pyv2/copied 订单")).body.read().decode()


def refusal(call):
    try:
        call()
    except oss.exceptions.OperationError as error:
        service = error.unwrap()
        return [service.status_code, service.code]
    return None


seen["forbidden"] = refusal(lambda: client.put_object(oss.PutObjectRequest(bucket=bucket, key="pyv2/a b.txt", body=b"x", forbid_overwrite=True)))
seen["absent"] = refusal(lambda: client.get_object(oss.GetObjectRequest(bucket=bucket, key="pyv2/absent")))
upload = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=bucket, key="pyv2/large")).upload_id
parts = []
for number, size in [(1, 100 * 1024), (2, 7)]:
    answer = client.upload_part(oss.UploadPartRequest(bucket=bucket, key="pyv2/large", part_number=number, upload_id=upload, body=b"p" * size))
    parts.append(oss.UploadPart(part_number=number, etag=answer.etag))
client.complete_multipart_upload(
    oss.CompleteMultipartUploadRequest(
        bucket=bucket, key="pyv2/large", upload_id=upload, complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts)
    )
)
seen["large"] = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="pyv2/large")).content_length
seen["deleted"] = sorted(
    d.key
    for d in client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(bucket=bucket, objects=[oss.DeleteObject(key="pyv2/large"), oss.DeleteObject(key="pyv2/copied 订单")])
    ).deleted_objects
)
seen["location"] = client.get_bucket_location(oss.GetBucketLocationRequest(bucket=bucket)).location
seen["info"] = client.get_bucket_info(oss.GetBucketInfoRequest(bucket=bucket)).bucket_info.name
seen["listed_bucket"] = bucket in [b.name for b in client.list_buckets(oss.ListBucketsRequest()).buckets]
for page in pages.iter_page(oss.ListObjectsV2Request(bucket=bucket, prefix="pyv2/")):
    for item in page.contents or []:
        client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key=item.key))
seen["left"] = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, prefix="pyv2/")).key_count
print(json.dumps(seen, ensure_ascii=False))
