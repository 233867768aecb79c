import { create } from '@bufbuild/protobuf';
import { type ConnectRouter, createContextValues, type HandlerContext } from '@connectrpc/connect';
import { callerKey } from '../../src/api/caller.js';
import { CertsSchema } from '../../src/api/gen/authservice_pb.js';
import { type RegisterUsingTokenRequest, RegisterUsingTokenRequestSchema } from '../../src/api/gen/types_pb.js';
import { joinRoutes } from '../../src/proxy/grpc.js';

type Join = (request: RegisterUsingTokenRequest, context: HandlerContext) => Promise<unknown>;

test('R-A-H5 what a stranger sends to join goes on to Auth without fields that nobody knows', async () => {
  const seen: object[] = [];
  let join: Join | undefined;
  const router = {
    service: (_: unknown, { registerUsingToken }: { registerUsingToken: Join }) => {
      join = registerUsingToken;
    },
  };
  joinRoutes({
    join: {
      registerUsingToken: async (request: object) => {
        seen.push(request);
        return create(CertsSchema);
      },
    } as never,
  })(router as unknown as ConnectRouter);
  const request = create(RegisterUsingTokenRequestSchema, { token: 't', hostId: 'h' });
  request.$unknown = [{ no: 2047, wireType: 2, data: new Uint8Array(1) }];
  const values = createContextValues().set(callerKey, { remoteAddr: '192.0.2.1:5' });
  await join!(request, { values } as HandlerContext);
  expect(seen).toMatchObject([{ token: 't', hostId: 'h', remoteAddr: '192.0.2.1' }]);
  expect(seen[0]).not.toHaveProperty('$unknown');
});
