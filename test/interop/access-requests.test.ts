/** Access requests: our calls beside those of the real tsh 18.3.0, the answers of a real Auth Service read by ours. */
import { fromBinary } from '@bufbuild/protobuf';
import { awaitResolution, createAccessRequest, listAccessRequests } from '../../src/access/cluster/requests.js';
import { type AuthClient, openAuthClient } from '../../src/api/client.js';
import { accessRequestOf } from '../../src/api/convert.js';
import { EventSchema, WatchSchema } from '../../src/api/gen/authservice_pb.js';
import { AccessRequestFilterSchema, AccessRequestV3Schema } from '../../src/api/gen/types_pb.js';
import { stateOf } from '../../src/resources/access-request.js';
import { type RecordedAuth, recordedCall, startRecordedAuth } from '../support/recorded-calls.js';

const NAMES = ['CreateAccessRequestV2', 'GetAccessRequestsV2', 'WatchEvents'].map((name) => `access-requests/${name}`);
const [CREATE, GET, WATCH] = NAMES.map(recordedCall);

let server: RecordedAuth;
let client: AuthClient;
beforeEach(async () => {
  server = await startRecordedAuth(NAMES);
  client = openAuthClient({ connect: () => server.connect(), authority: 'peer', version: '18.3.0' });
});
afterEach(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
});
const ours = (path: string) => server.seen.findLast((call) => call.path === path)!.request;

test('a request is made with what the real tsh sends, and the answer is read', async () => {
  const made = await createAccessRequest(client, { user: 'alice', roles: ['prod-dba'], reason: 'to look' });
  expect(made).toMatchObject({
    kind: 'access_request',
    version: 'v3',
    spec: { user: 'alice', roles: ['prod-dba'], state: 1, request_reason: 'to look' },
  });
  expect(Date.parse(made.spec.expiry!)).toBeGreaterThan(Date.parse(made.spec.created!));
  const [mine, theirs] = [ours(CREATE!.path), CREATE!.request].map((bytes) =>
    accessRequestOf(fromBinary(AccessRequestV3Schema, bytes)),
  );
  // Each client makes up a name; the server gives another.
  expect({ ...mine, metadata: {} }).toEqual({ ...theirs, metadata: {} });
});

test('the list is asked for as the real tsh does, and what it holds is read', async () => {
  const id = fromBinary(AccessRequestFilterSchema, GET!.request).id;
  const [found] = await listAccessRequests(client, { id });
  expect(ours(GET!.path)).toEqual(GET!.request);
  expect(stateOf(found!)).toBe('APPROVED');
  expect(found!.spec).toMatchObject({
    resolve_reason: 'go on',
    thresholds: [{ name: 'default', approve: 1, deny: 1 }],
    rtm: { 'prod-dba': { s: [{ i: [0] }] } },
  });
});

test('one waits for the events that the real tsh waits for', async () => {
  const [ready, approved] = WATCH!.responses.map((bytes) => fromBinary(EventSchema, bytes));
  expect([ready!.type, approved!.type, approved!.resource.case]).toEqual([0, 1, 'accessRequest']);
  const pending = accessRequestOf(fromBinary(AccessRequestV3Schema, CREATE!.responses[0]!));
  const now = () => new Date(Date.parse(pending.spec.created!));
  const resolved = await awaitResolution(client, pending, { now, signal: new AbortController().signal });
  expect(stateOf(resolved)).toBe('APPROVED');
  const [mine, theirs] = [ours(WATCH!.path), WATCH!.request].map((bytes) => fromBinary(WatchSchema, bytes).kinds);
  expect(mine).toHaveLength(1);
  expect(mine![0]!.kind).toBe(theirs![0]!.kind);
  expect(Object.keys(mine![0]!.filter).sort()).toEqual(Object.keys(theirs![0]!.filter).sort());
});
