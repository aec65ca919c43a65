// What the Node drivers share: steps, each reported on one line, and files to work on.
'use strict'

const assert = require('assert')
const crypto = require('crypto')
const fs = require('fs')
const os = require('os')
const path = require('path')

const LIMIT = 20000 // milliseconds a step may take

const directory = fs.mkdtempSync(path.join(process.env.FDFS_WORK_DIR || os.tmpdir(), 'fdfs-client-'))
const steps = []
let settleStep = () => {}

// Clients throw in callbacks; such an error belongs to the step that runs.
process.on('uncaughtException', (error) => settleStep(error))
process.on('unhandledRejection', (error) => settleStep(error))

// Adds a step; a step that fails or hangs is reported, and the run goes on.
function step (name, run) {
  steps.push({ name, run })
}

// Runs all steps. `makeClient` makes a new client for each: what one step broke is no business of the next.
async function runAll (makeClient) {
  for (const { name, run } of steps) {
    const error = await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(new Error('nothing came')), LIMIT)
      settleStep = (error) => { clearTimeout(timer); resolve(error) }
      Promise.resolve().then(() => run(makeClient())).then(() => settleStep(), settleStep)
    })
    const text = error && String(error.stack ? error.message : error).split(/\s+/).join(' ')
    console.log(error === undefined ? `ok ${name}` : `failed ${name}: ${text}`)
  }
  process.exit(0)
}

// Bytes that look random and are the same in every run.
function content (seed, length) {
  const blocks = []
  for (let number = 0; number * 32 < length; number++) {
    blocks.push(crypto.createHash('sha256').update(`${seed} ${number}`).digest())
  }
  return Buffer.concat(blocks).subarray(0, length)
}

function file (name, bytes) {
  const target = path.join(directory, name)
  fs.writeFileSync(target, bytes)
  return target
}

function same (actual, expected) {
  if (Buffer.isBuffer(expected)) {
    assert(expected.equals(actual), `got ${actual.length} bytes, expected ${expected.length} bytes`)
  } else {
    assert.deepStrictEqual(actual, expected)
  }
}

// Checks that the client reports an error.
async function refused (call) {
  await assert.rejects(call)
}

module.exports = { step, runAll, content, file, same, refused, place: (name) => path.join(directory, name) }
