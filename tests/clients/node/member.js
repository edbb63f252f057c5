// A group member on kafkajs. It logs what the members in Python log (members/member.py), and commits what it has logged.
'use strict'

const fs = require('node:fs')
const { parseArgs } = require('node:util')
const { Kafka, logLevel } = require('kafkajs')

const names = ['bootstrap', 'topic', 'group', 'session-ms']
const { values } = parseArgs({ options: Object.fromEntries(names.map(name => [name, { type: 'string' }])) })
const sessionTimeout = Number(values['session-ms'])

const write = events => fs.writeSync(1, events.map(event => JSON.stringify(event) + '\n').join(''))

// The generation is told to nobody but the log.
const logCreator = () => ({ log, level }) => {
  if (log.message === 'Received assignment') {
    const partitions = log.memberAssignment[values.topic] ?? []
    write([{ event: 'assigned', generation: log.generationId, partitions, begun: partitions }])
  } else if (level <= logLevel.WARN) {
    console.error(JSON.stringify(log))
  }
}

const kafka = new Kafka({
  brokers: values.bootstrap.split(','),
  logLevel: logLevel.DEBUG,
  logCreator,
  retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 100 },
})
const consumer = kafka.consumer({
  groupId: values.group,
  sessionTimeout,
  rebalanceTimeout: 2 * sessionTimeout,
  heartbeatInterval: sessionTimeout / 6,
  maxWaitTimeInMs: 200,
})

const run = async () => {
  await consumer.connect()
  await consumer.subscribe({ topics: [values.topic], fromBeginning: true })
  await consumer.run({
    eachBatch: async ({ batch, isRunning, isStale, resolveOffset, heartbeat }) => {
      if (!isRunning() || isStale()) return
      write(
        batch.messages.map(({ offset, value }) => ({
          event: 'record',
          partition: batch.partition,
          offset: Number(offset),
          value: value.toString(),
        }))
      )
      resolveOffset(batch.lastOffset())
      await heartbeat()
    },
  })
}

process.on('SIGTERM', async () => {
  await consumer.disconnect()
  process.exit(0)
})
run().catch(error => {
  console.error(error)
  process.exit(1)
})
