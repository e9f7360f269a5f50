"""Every operation of the endpoint through the classic Python client. Arguments: endpoint, key id, secret, bucket, version (v1 or v4).

Prints one JSON document at the end; an exception ends it with a traceback instead.
"""

import json
import sys

import oss2

endpoint, key_id, secret, bucket_name, version = sys.argv[1:6]
auth = oss2.AuthV4(key_id, secret) if version == "v4" else oss2.Auth(key_id, secret)
options = {"region": "cn-hangzhou"} if version == "v4" else {}
bucket = oss2.Bucket(auth, endpoint, bucket_name, is_path_style=True, enable_crc=False, **options)
seen = {}

for name in ["a b.txt", "dir/ä%20+&.txt", "dir/sub/x", "销售/订单"]:
    bucket.put_object("py2/" + name, ("content of " + name).encode())
seen["roundtrip"] = bucket.get_object("py2/dir/ä%20+&.txt").read().decode()
seen["range"] = bucket.get_object("py2/a b.txt", byte_range=(0, 6)).read().decode()
head = bucket.head_object("py2/a b.txt")
seen["length"] = head.content_length
seen["meta_etag"] = bucket.get_object_meta("py2/a b.txt").etag == head.etag
seen["v1_keys"] = [o.key for o in oss2.ObjectIterator(bucket, prefix="py2/", max_keys=2)]
seen["v2_keys"] = [o.key for o in oss2.ObjectIteratorV2(bucket, prefix="py2/", max_keys=2)]
page = bucket.list_objects_v2(prefix="py2/", delimiter="/")
seen["folders"] = page.prefix_list
bucket.copy_object(bucket_name, "py2/销售/订单", "py2/copied 订单")
seen["copied"] = bucket.get_object("py2/copied 订单").read().decode()
try:
    bucket.put_object("py2/a b.txt", b"again", headers={"x-oss-forbid-overwrite": "true"})
    seen["forbidden"] = None
except oss2.exceptions.ServerError as error:
    seen["forbidden"] = [error.status, error.code]
try:
    bucket.get_object("py2/absent")
    seen["absent"] = None
except oss2.exceptions.NoSuchKey as error:
    seen["absent"] = [error.status, error.code]
seen["exists"] = [bucket.object_exists("py2/a b.txt"), bucket.object_exists("py2/absent")]
upload = bucket.init_multipart_upload("py2/large").upload_id
parts = []
for number, size in [(1, 100 * 1024), (2, 7)]:
    parts.append(oss2.models.PartInfo(number, bucket.upload_part("py2/large", upload, number, b"p" * size).etag))
seen["parts"] = [p.size for p in bucket.list_parts("py2/large", upload).parts]
bucket.complete_multipart_upload("py2/large", upload, parts)
seen["large"] = bucket.head_object("py2/large").content_length
signed = bucket.sign_url("GET", "py2/a b.txt", 60, slash_safe=True)
seen["presigned"] = bucket.get_object_with_url(signed).read().decode()
seen["deleted"] = sorted(bucket.batch_delete_objects(["py2/large", "py2/copied 订单"]).deleted_keys)
bucket.delete_object("py2/absent")
seen["location"] = bucket.get_bucket_location().location
info = bucket.get_bucket_info()
seen["info"] = [info.name, info.location]
service = oss2.Service(auth, endpoint, **options)
seen["listed_bucket"] = bucket_name in [b.name for b in service.list_buckets().buckets]
for item in list(oss2.ObjectIteratorV2(bucket, prefix="py2/")):
    bucket.delete_object(item.key)
seen["left"] = len(list(oss2.ObjectIteratorV2(bucket, prefix="py2/")))
print(json.dumps(seen, ensure_ascii=False))
