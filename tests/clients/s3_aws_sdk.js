// Drives npm `@aws-sdk/client-s3`, with lib-storage and the presigner, through the S3 API at $FDFS_S3 (a URL).
'use strict'

const fs = require('fs')
const { execFileSync } = require('child_process')
const { Readable } = require('stream')
const s3 = require('@aws-sdk/client-s3')
const { Upload } = require('@aws-sdk/lib-storage')
const { getSignedUrl } = require('@aws-sdk/s3-request-presigner')
const { step, runAll, content, file, same } = require('./node_steps.js')

const Bucket = 'npm-sdk-bucket'
const PART = 5 * 1024 * 1024
const small = content('small', 11)
const big = content('big', 20 * 1024 * 1024 + 17)
const KEYS = [
  'a b', 'plus+plus', 'percent%41%', 'späße/ü.txt', '日本語/😀', '\'quoted"', '<&amp;>', 'a=b&c;d?e#f,g:h@i!',
  '(round)[square]{curly}~^`|$*', 'back\\slash', 'double//slash', '/leading', '//', 'dots/./in/../it', 'folder/',
  'tab\tline\nend', 'deep/'.repeat(20) + 'x'
]
let client

function makeClient () {
  return new s3.S3Client({
    endpoint: process.env.FDFS_S3, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1
  })
}

const send = (Command, input) => client.send(new Command({ Bucket, ...input }))
const put = (Key, Body = small, more = {}) => send(s3.PutObjectCommand, { Key, Body, ...more })
const bytes = async (answer) => Buffer.from(await answer.Body.transformToByteArray())
const get = async (Key, more = {}) => bytes(await send(s3.GetObjectCommand, { Key, ...more }))
const head = (Key, more = {}) => send(s3.HeadObjectCommand, { Key, ...more })
// A body whose end the SDK does not see before it is there.
const stream = (data) => Readable.from(data.length ? data.toString('latin1').match(/[^]{1,100000}/g).map((part) => Buffer.from(part, 'latin1')) : [])

function curl (url, ...rest) {
  const trust = process.env.AWS_CA_BUNDLE ? ['--cacert', process.env.AWS_CA_BUNDLE] : []
  return execFileSync('curl', ['--silent', '--show-error', '--fail', ...trust, ...rest, url], { maxBuffer: 1 << 26 })
}

async function denied (name, call) {
  try {
    await call()
  } catch (error) {
    same(error.name, name)
    return
  }
  throw new Error(`not refused with ${name}`)
}

async function keys (more = {}) {
  const found = []
  for await (const page of s3.paginateListObjectsV2({ client, pageSize: 3 }, { Bucket, ...more })) {
    for (const entry of page.Contents || []) found.push(entry.Key)
  }
  return found
}

// A step whose client is the one made for it.
const on = (name, run) => step(name, (made) => { client = made; return run() })

on('CreateBucket, HeadBucket and ListBuckets', async () => {
  await send(s3.CreateBucketCommand)
  await send(s3.HeadBucketCommand)
  const names = (await send(s3.ListBucketsCommand)).Buckets.map((bucket) => bucket.Name)
  same([Bucket, process.env.FDFS_GROUP].map((name) => names.includes(name)), [true, true])
})

on('PutObject and GetObject', async () => {
  for (const data of [Buffer.alloc(0), small, big]) {
    await put('body', data)
    same(await get('body'), data)
  }
})

on('PutObject of a stream, with every checksum as a trailer', async () => {
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
    for (const data of [Buffer.alloc(0), small, content('stream', 1_000_003)]) {
      const made = await put('checked', stream(data), { ChecksumAlgorithm, ContentLength: data.length })
      const answer = await send(s3.GetObjectCommand, { Key: 'checked', ChecksumMode: 'ENABLED' })
      same(answer[`Checksum${ChecksumAlgorithm}`], made[`Checksum${ChecksumAlgorithm}`])
      same(await bytes(answer), data)
    }
  }
})

on('PutObject with every checksum as a header', async () => {
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
    const name = `Checksum${ChecksumAlgorithm}`
    const made = (await put('checked', small, { ChecksumAlgorithm }))[name]
    same((await head('checked', { ChecksumMode: 'ENABLED' }))[name], made)
    await denied('BadDigest', () => put('checked', big.subarray(0, 11), { [name]: made }))
  }
  same(await get('checked'), small)
})

on('odd keys', async () => {
  for (const key of KEYS) {
    await put(key, Buffer.from(key))
    same(await get(key), Buffer.from(key))
  }
  const found = await keys()
  same(KEYS.filter((key) => !found.includes(key)), [])
  await send(s3.DeleteObjectsCommand, { Delete: { Objects: KEYS.map((Key) => ({ Key })) } })
  same((await keys()).filter((key) => KEYS.includes(key)), [])
})

on('ranges and conditions', async () => {
  const { ETag } = await put('ranged', big)
  same(await get('ranged', { Range: 'bytes=1000-5999' }), big.subarray(1000, 6000))
  same(await get('ranged', { Range: 'bytes=-10' }), big.subarray(-10))
  same(await get('ranged', { IfMatch: ETag, Range: 'bytes=20971520-' }), big.subarray(20971520))
  await denied('InvalidRange', () => get('ranged', { Range: 'bytes=99999999-' }))
  await denied('PreconditionFailed', () => get('ranged', { IfMatch: '"0123"' }))
  await denied('PreconditionFailed', () => put('ranged', small, { IfNoneMatch: '*' }))
})

on('metadata', async () => {
  await put('meta', small, { ContentType: 'image/x-odd', CacheControl: 'no-cache', Metadata: { width: '1024' } })
  const { ContentLength, ContentType, CacheControl, Metadata } = await head('meta')
  same([ContentLength, ContentType, CacheControl, Metadata], [11, 'image/x-odd', 'no-cache', { width: '1024' }])
})

on('Upload of lib-storage', async () => {
  for (const data of [Buffer.alloc(0), small, big]) {
    const Body = fs.createReadStream(file('up.bin', data))
    await new Upload({ client, params: { Bucket, Key: 'uploaded', Body }, partSize: PART }).done()
    same(await get('uploaded'), data)
  }
  same(await get('uploaded', { PartNumber: 2 }), big.subarray(PART, 2 * PART))
  const whole = new Upload({
    client, params: { Bucket, Key: 'uploaded', Body: big, ChecksumAlgorithm: 'CRC64NVME' }, partSize: PART
  })
  await whole.done()
  same(await get('uploaded', { ChecksumMode: 'ENABLED' }), big)
})

on('Upload of lib-storage given up', async () => {
  const upload = new Upload({ client, params: { Bucket, Key: 'given-up', Body: stream(big) }, partSize: PART })
  upload.on('httpUploadProgress', () => upload.abort())
  await denied('AbortError', () => upload.done())
  await denied('NotFound', () => head('given-up'))
})

on('CopyObject and UploadPartCopy', async () => {
  await put('source/ü &+%41', small, { Metadata: { width: '1024' } })
  const CopySource = `${Bucket}/${encodeURIComponent('source/ü &+%41')}`
  await send(s3.CopyObjectCommand, { Key: 'copied', CopySource })
  same([await get('copied'), (await head('copied')).Metadata], [small, { width: '1024' }])
  await send(s3.CopyObjectCommand, { Key: 'copied', CopySource, MetadataDirective: 'REPLACE', Metadata: { a: 'b' } })
  same((await head('copied')).Metadata, { a: 'b' })

  const { UploadId } = await send(s3.CreateMultipartUploadCommand, { Key: 'parts' })
  const Parts = []
  for (const [at, CopySourceRange] of [`bytes=0-${PART}`, `bytes=${PART + 1}-${big.length - 1}`].entries()) {
    const PartNumber = at + 1
    const part = { Key: 'parts', UploadId, PartNumber, CopySource: `${Bucket}/ranged`, CopySourceRange }
    Parts.push({ PartNumber, ETag: (await send(s3.UploadPartCopyCommand, part)).CopyPartResult.ETag })
  }
  await send(s3.CompleteMultipartUploadCommand, { Key: 'parts', UploadId, MultipartUpload: { Parts } })
  same(await get('parts'), big)
})

on('lists', async () => {
  const all = ['list/a', 'list/b+1', 'list/b/1', 'list/b/2', 'list/c']
  for (const key of all) await put(key)
  same(await keys({ Prefix: 'list/' }), all)
  const answer = await send(s3.ListObjectsV2Command, { Prefix: 'list/', Delimiter: '/' })
  same(answer.CommonPrefixes.map((prefix) => prefix.Prefix), ['list/b/'])
  const first = await send(s3.ListObjectsCommand, { Prefix: 'list/', MaxKeys: 2 })
  same([first.IsTruncated, first.Contents.map((entry) => entry.Key)], [true, all.slice(0, 2)])
})

on('presigned URLs', async () => {
  const Key = 'presigned/ü &+%41.bin'
  const target = await getSignedUrl(client, new s3.PutObjectCommand({ Bucket, Key }), { expiresIn: 60 })
  curl(target, '--request', 'PUT', '--data-binary', '@' + file('signed.bin', big))
  const url = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key }), { expiresIn: 60 })
  same(curl(url), big)
  same(curl(url, '--range', '3-9'), big.subarray(3, 10))
  const forged = url.replace('X-Amz-Signature=', 'X-Amz-Signature=0')
  same(curl(forged, '--no-fail', '--write-out', '%{http_code}', '--output', '/dev/null').toString(), '403')
})

on('what is not there', async () => {
  await denied('NoSuchKey', () => get('nothing'))
  await denied('NotFound', () => head('nothing'))
  await denied('NoSuchBucket', () => send(s3.ListObjectsV2Command, { Bucket: 'nobody-made-this' }))
})

on('DeleteObject and DeleteBucket', async () => {
  await send(s3.DeleteObjectCommand, { Key: 'body' })
  await denied('NoSuchKey', () => get('body'))
  await denied('BucketNotEmpty', () => send(s3.DeleteBucketCommand))
  for (const Key of await keys()) await send(s3.DeleteObjectCommand, { Key })
  await send(s3.DeleteBucketCommand)
  await denied('NotFound', () => send(s3.HeadBucketCommand))
})

runAll(makeClient)
