// Drives npm `fdfs-client` through its whole API; the tracker is $FDFS_TRACKER (ip:port).
'use strict'

const { promisify } = require('util')
const FdfsClient = require('fdfs-client')
const { defineFiles, config } = require('./node_family.js')
const { runAll } = require('./node_steps.js')

// The client as it is, its callbacks turned into promises.
function makeClient () {
  const client = new FdfsClient(config())
  const promised = {}
  for (const method of ['upload', 'download', 'del', 'remove', 'setMetaData', 'getMetaData', 'getFileInfo']) {
    promised[method] = promisify(client[method].bind(client))
  }
  return promised
}

defineFiles()
runAll(makeClient)
