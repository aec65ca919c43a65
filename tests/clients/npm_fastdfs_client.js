// Drives npm `fastdfs-client` through its whole API; the tracker is $FDFS_TRACKER (ip:port).
'use strict'

const FdfsClient = require('fastdfs-client')
const { defineFiles, defineAppenders, defineLists, config } = require('./node_family.js')
const { runAll } = require('./node_steps.js')

defineFiles()
defineAppenders()
defineLists()
runAll(() => new FdfsClient(config()))
