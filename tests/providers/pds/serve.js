// A real Bluesky PDS with its directory of identities (PLC) in memory, for one test run.
//
//   node serve.js FOLDER
//
// Prints {"url": ..., "admin": ...} once it answers, and ends when its standard input does, so that it outlives no test.
'use strict'

const { once } = require('node:events')
const http = require('node:http')
const { randomBytes } = require('node:crypto')

// The log lies beside the data.
Object.assign(process.env, { LOG_ENABLED: 'true', LOG_LEVEL: 'warn', LOG_DESTINATION: `${process.argv[2]}/pds.log` })

async function freePort() {
  const server = http.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function startDirectory() {
  const plc = require('@did-plc/server')
  const port = await freePort()
  await plc.PlcServer.create({ db: plc.Database.mock(), port }).start()
  return `http://localhost:${port}`
}

async function startPds(folder, didPlcUrl) {
  const { PDS, envToCfg, envToSecrets } = require('@atproto/pds')
  const hex = () => randomBytes(32).toString('hex')
  const port = await freePort()
  const env = {
    port,
    // Every other hostname would need https.
    hostname: 'localhost',
    devMode: true,
    disableSsrfProtection: true,
    dataDirectory: folder,
    blobstoreDiskLocation: `${folder}/blobs`,
    didPlcUrl,
    serviceHandleDomains: ['.test'],
    inviteRequired: false,
    rateLimitsEnabled: process.env.PDS_RATE_LIMITS_ENABLED === 'true',
    jwtSecret: hex(),
    dpopSecret: hex(),
    adminPassword: hex(),
    plcRotationKeyK256PrivateKeyHex: hex(),
  }
  const pds = await PDS.create(envToCfg(env), envToSecrets(env))
  await pds.start()
  return { url: `http://localhost:${port}`, admin: env.adminPassword }
}

async function main() {
  const directory = await startDirectory()
  const pds = await startPds(process.argv[2], directory)
  console.log(JSON.stringify(pds))
  process.stdin.resume().on('end', () => process.exit(0))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
