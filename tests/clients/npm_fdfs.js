// Drives npm `fdfs` through its whole API; the tracker is $FDFS_TRACKER (ip:port).
'use strict'

const FdfsClient = require('fdfs')
const { defineFiles, defineAppenders, defineLists, config } = require('./node_family.js')
const { runAll } = require('./node_steps.js')

defineFiles()
defineAppenders()
defineLists()
runAll(() => new FdfsClient(config()))
