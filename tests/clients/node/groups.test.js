// kafkajs in a group: a codec in JavaScript, with low versions of every request. Run by test_kafkajs_groups.py with BOOTSTRAP set.
'use strict'

const assert = require('node:assert')
const { after, test } = require('node:test')
const { AssignerProtocol, Kafka, PartitionAssigners, logLevel } = require('kafkajs')

const TIMEOUT_MS = 30_000
const PARTITIONS = 4
const kafka = new Kafka({ brokers: process.env.BOOTSTRAP.split(','), logLevel: logLevel.NOTHING, retry: { initialRetryTime: 100 } })
const admin = kafka.admin()
const producer = kafka.producer()
const consumers = []
let number = 0

const until = async (what, reached) => {
  const deadline = Date.now() + TIMEOUT_MS
  while (!(await reached())) {
    assert.ok(Date.now() < deadline, `not within ${TIMEOUT_MS} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

const begin = async () => {
  await admin.connect()
  await producer.connect()
  const topic = `kafkajs-${++number}-${process.pid}`
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true })
  return { topic, groupId: `group-of-${topic}` }
}

const write = (topic, each) =>
  producer.send({
    topic,
    messages: Array.from({ length: each * PARTITIONS }, (_, index) => ({ partition: index % PARTITIONS, value: `${index}` })),
  })

// A member; `held` are its partitions and `values` what it read.
const join = async ({ topic, groupId }, settings = {}) => {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, maxWaitTimeInMs: 200, ...settings })
  const member = { consumer, held: [], values: [] }
  consumers.push(consumer)
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    member.held = payload.memberAssignment[topic] ?? []
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => member.values.push(message.value.toString()) })
  return member
}

const share = members => members.map(member => member.held.length).sort()

after(async () => {
  await Promise.all([admin, producer, ...consumers].map(client => client.disconnect()))
})

test('members share, one beyond the partitions is idle, and the others take over', async () => {
  const place = await begin()
  const members = [await join(place)]
  await until('one holds all', () => members[0].held.length === PARTITIONS)
  for (let count = 1; count < 5; count++) members.push(await join(place))
  await until('five share four', () => share(members).join() === '0,1,1,1,1')
  for (const { consumer } of members.slice(1)) await consumer.disconnect()
  await until('one holds all again', () => members[0].held.length === PARTITIONS)
})

test('what was committed is not read again', async () => {
  const place = await begin()
  await write(place.topic, 25)
  const first = await join(place)
  await until('all is read', () => first.values.length === 100)
  await first.consumer.disconnect()
  await write(place.topic, 1)
  const second = await join(place)
  await until('the rest is read', () => second.values.length === PARTITIONS)
  await new Promise(resolve => setTimeout(resolve, 500))
  assert.strictEqual(second.values.length, PARTITIONS)
})

test('the admin client lists, describes, changes and deletes', async () => {
  const place = await begin()
  const { topic, groupId } = place
  await write(topic, 5)
  const member = await join(place, { partitionAssigners: [PartitionAssigners.roundRobin] })
  await until('all is read', () => member.values.length === 20)
  const listed = (await admin.listGroups()).groups
  assert.ok(listed.some(group => group.groupId === groupId && group.protocolType === 'consumer'))
  const described = (await admin.describeGroups([groupId])).groups[0]
  assert.deepStrictEqual([described.errorCode, described.state, described.protocol], [0, 'Stable', 'RoundRobinAssigner'])
  assert.strictEqual(described.members[0].clientHost, '/127.0.0.1')
  const { assignment } = AssignerProtocol.MemberAssignment.decode(described.members[0].memberAssignment)
  assert.deepStrictEqual(assignment[topic].sort(), [0, 1, 2, 3])
  await assert.rejects(admin.deleteGroups([groupId]))
  await member.consumer.disconnect()

  const offsets = async () => (await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions.sort((a, b) => a.partition - b.partition)
  assert.deepStrictEqual((await offsets()).map(({ offset }) => offset), ['5', '5', '5', '5'])
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 1, offset: '2' }] })
  assert.deepStrictEqual((await offsets()).map(({ offset }) => offset), ['5', '2', '5', '5'])
  await admin.resetOffsets({ groupId, topic, earliest: true })
  assert.deepStrictEqual((await offsets()).map(({ offset }) => offset), ['-2', '-2', '-2', '-2'])
  assert.strictEqual((await admin.deleteGroups([groupId]))[0].errorCode, 0)
  assert.strictEqual((await admin.describeGroups([groupId])).groups[0].state, 'Dead')
})
