// The API that npm `fdfs`, `fdfs-client` and `fastdfs-client` have in common (the latter two descend from the
// first), called through promises.
'use strict'

const fs = require('fs')
const { once } = require('events')
const { step, content, file, same, refused, place } = require('./node_steps.js')

const GROUP = process.env.FDFS_GROUP
const small = content('small', 11)
const big = content('big', 1048593)
const metadata = { width: '1024', author: 'tests' }

// Downloads and compares. The stream is ended and awaited here: not every client does that.
async function stored (client, fileId, expected, options) {
  const target = fs.createWriteStream(place('stored'))
  const finished = once(target, 'finish')
  await client.download(fileId, { ...options, target })
  if (!target.writableEnded) target.end()
  await finished
  same(fs.readFileSync(place('stored')), expected)
}

// CRC32 as `getFileInfo` shows it.
function crc32 (bytes) {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xEDB88320 & -(crc & 1))
  }
  return ~crc >>> 0
}

function defineFiles () {
  step('upload a file', async (client) => {
    for (const bytes of [small, big]) {
      const fileId = await client.upload(file('plain.jpg', bytes))
      same(fileId.split('/')[0], GROUP)
      same(fileId.slice(-4), '.jpg')
      await stored(client, fileId, bytes)
    }
  })

  step('upload a buffer', async (client) => {
    for (const bytes of [small, big]) {
      const fileId = await client.upload(bytes, { ext: 'txt' })
      same(fileId.slice(-4), '.txt')
      await stored(client, fileId, bytes)
    }
  })

  step('upload a stream', async (client) => {
    const stream = fs.createReadStream(file('stream', big))
    await stored(client, await client.upload(stream, { size: big.length, ext: 'bin' }), big)
  })

  step('upload to a group', async (client) => {
    await stored(client, await client.upload(small, { ext: 'txt', group: GROUP }), small)
  })

  step('upload to an unknown group is refused', async (client) => {
    await refused(() => client.upload(small, { ext: 'txt', group: 'nobody' }))
  })

  step('upload without extension', async (client) => {
    await stored(client, await client.upload(small, {}), small)
  })

  step('download to a file', async (client) => {
    const target = place('to-file')
    await client.download(await client.upload(big, { ext: 'bin' }), target)
    same(fs.readFileSync(target), big)
  })

  step('download to a stream', async (client) => {
    await stored(client, await client.upload(big, { ext: 'bin' }), big)
  })

  step('download a range', async (client) => {
    const fileId = await client.upload(big, { ext: 'bin' })
    await stored(client, fileId, big.subarray(1000, 6000), { offset: 1000, bytes: 5000 })
  })

  step('download from an offset', async (client) => {
    await stored(client, await client.upload(big, { ext: 'bin' }), big.subarray(1000), { offset: 1000 })
  })

  step('download of a missing file is refused', async (client) => {
    const fileId = await client.upload(small, { ext: 'txt' })
    await client.del(fileId)
    await refused(() => client.download(fileId, place('missing')))
  })

  step('setMetaData overwrites', async (client) => {
    const fileId = await client.upload(small, { ext: 'txt' })
    await client.setMetaData(fileId, { old: '1' })
    await client.setMetaData(fileId, metadata)
    same(await client.getMetaData(fileId), { author: 'tests', width: '1024' })
  })

  step('setMetaData merges', async (client) => {
    const fileId = await client.upload(small, { ext: 'txt' })
    await client.setMetaData(fileId, metadata, 'O')
    await client.setMetaData(fileId, { width: '2048', lens: '50mm' }, 'M')
    same(await client.getMetaData(fileId), { author: 'tests', lens: '50mm', width: '2048' })
  })

  step('getMetaData of a file without any is refused', async (client) => {
    const fileId = await client.upload(small, { ext: 'txt' })
    await refused(() => client.getMetaData(fileId))
  })

  step('getFileInfo', async (client) => {
    for (const bytes of [small, big]) {
      const info = await client.getFileInfo(await client.upload(bytes, { ext: 'txt' }))
      same(Number(info.size), bytes.length) // a text in fdfs-client
      same(info.addr, process.env.FDFS_STORAGE.split(':')[0])
      if (Math.abs(Date.now() / 1000 - info.timestamp) > 300) throw new Error(`timestamp ${info.timestamp}`)
    }
  })

  step('getFileInfo crc32', async (client) => {
    const info = await client.getFileInfo(await client.upload(small, { ext: 'txt' }))
    same(info.crc32 >>> 0, crc32(small))
  })

  step('del', async (client) => {
    const fileId = await client.upload(big, { ext: 'txt' })
    await client.del(fileId)
    await refused(() => client.del(fileId))
  })

  step('remove', async (client) => {
    const fileId = await client.upload(small, { ext: 'txt' })
    await client.remove(fileId)
    await refused(() => client.getFileInfo(fileId))
  })
}

function defineAppenders () {
  const upload = (client, bytes) => client.upload(bytes, { method: 'uploadAppender', ext: 'log' })

  step('upload an appender', async (client) => {
    await stored(client, await upload(client, big), big)
  })

  step('append a buffer', async (client) => {
    const fileId = await upload(client, small)
    await client.upload(big, { method: 'append', fileId })
    await client.upload(small, { method: 'append', fileId })
    await stored(client, fileId, Buffer.concat([small, big, small]))
  })

  step('append a file', async (client) => {
    const fileId = await upload(client, small)
    await client.upload(file('more', big), { method: 'append', fileId })
    await stored(client, fileId, Buffer.concat([small, big]))
  })

  step('append to a plain file is refused', async (client) => {
    const fileId = await client.upload(small, { ext: 'txt' })
    await refused(() => client.upload(small, { method: 'append', fileId }))
    await stored(client, fileId, small)
  })

  step('modify', async (client) => {
    const fileId = await upload(client, big)
    await client.upload(small, { method: 'modify', fileId, offset: 100 })
    await stored(client, fileId, Buffer.concat([big.subarray(0, 100), small, big.subarray(111)]))
  })

  step('modify at the end', async (client) => {
    const fileId = await upload(client, small)
    await client.upload(big, { method: 'modify', fileId, offset: small.length })
    await stored(client, fileId, Buffer.concat([small, big]))
  })
}

function defineLists () {
  step('listGroups', async (client) => {
    const { count, groups } = await client.listGroups()
    same([count, groups[0].groupName], [1, GROUP])
  })

  step('listStorages', async (client) => {
    const { count, storages } = await client.listStorages(GROUP)
    same([count, storages[0].ipAddr], [1, process.env.FDFS_STORAGE.split(':')[0]])
  })
}

// What a client is made with.
function config () {
  const [host, port] = process.env.FDFS_TRACKER.split(':')
  const silent = { debug () {}, info () {}, warn () {}, error () {} }
  return { trackers: [{ host, port: Number(port) }], timeout: 10000, charset: 'utf8', logger: silent }
}

module.exports = { defineFiles, defineAppenders, defineLists, config }
