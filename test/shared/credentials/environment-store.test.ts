import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEnvironmentStore } from '../../../shared/credentials/environment-store.ts';
import { AccessDenied } from '../../../shared/errors.ts';
import { type ConnectivityScene, connectivityScene } from '../../support/connectivity.ts';

/** Sessions of a role, on the real endpoints. */
describe('a session that ends before its time', () => {
  let scene: ConnectivityScene;
  beforeEach(async () => {
    scene = await connectivityScene();
    scene.put('lake/wh/a.db/t/schema/schema-0', '{}');
  });
  afterEach(() => scene.close());

  const open = () => openEnvironmentStore(scene.withRole(), undefined, scene.access, { retries: 0 });
  const list = async (store: Awaited<ReturnType<typeof open>>) =>
    (await store.list({ prefix: 'lake/wh/', delimiter: '/' })).prefixes;
  const keysUsed = () => scene.oss.requests().map((request) => request.accessKeyId);
  const sessionsAsked = () => scene.sts.requests().length;

  it.each([
    { status: 403, code: 'SecurityTokenExpired' },
    { status: 403, code: 'InvalidSecurityToken' },
  ])('is replaced once for $code, and the request made again', async (refusal) => {
    const store = await open();
    await list(store);
    const [first] = keysUsed();
    scene.oss.setFaults([{ ...refusal, accessKeyId: first! }]);
    expect(await list(store)).toEqual(['lake/wh/a.db/']);
    expect(keysUsed()).toHaveLength(3);
    expect(keysUsed()[1]).toBe(first);
    expect(keysUsed()[2]).not.toBe(first);
    expect(sessionsAsked()).toBe(2);
    await list(store);
    expect(keysUsed()[3]).toBe(keysUsed()[2]);
    expect(sessionsAsked()).toBe(2);
  });

  it('costs one new session, however many requests met the end', async () => {
    const store = await open();
    await list(store);
    scene.oss.setFaults([{ status: 403, code: 'SecurityTokenExpired', accessKeyId: keysUsed()[0]! }]);
    const answers = await Promise.all(Array.from({ length: 8 }, () => list(store)));
    expect(answers).toEqual(Array.from({ length: 8 }, () => ['lake/wh/a.db/']));
    expect(sessionsAsked()).toBe(2);
    // Another environment of the same role in this instance goes on with the new one as well.
    expect(await list(await open())).toEqual(['lake/wh/a.db/']);
    expect(sessionsAsked()).toBe(2);
  });

  it('is not replaced for ever: a new one that is refused too says why', async () => {
    const store = await open();
    scene.oss.setFaults([{ status: 403, code: 'SecurityTokenExpired' }]);
    const error = await list(store).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AccessDenied);
    expect(error).toMatchObject({ reason: 'token-expired' });
    expect(keysUsed()).toHaveLength(2);
    expect(sessionsAsked()).toBe(2);
  });

  it('says why there is no new one, when the role is gone', async () => {
    const store = await open();
    await list(store);
    scene.identities.removeRole(scene.roleArn);
    const error = await list(store).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AccessDenied);
    expect(error).toMatchObject({ reason: 'role-missing', what: `role ${scene.roleArn}` });
    expect(sessionsAsked()).toBe(2);
  });

  it('is no matter of AccessKeys: their refusal is told at once', async () => {
    const config = scene.environment();
    const store = await openEnvironmentStore(config, scene.seal(config), scene.access, { retries: 0 });
    scene.oss.setFaults([{ status: 403, code: 'InvalidSecurityToken' }]);
    await expect(list(store)).rejects.toMatchObject({ reason: 'token-invalid' });
    expect(keysUsed()).toHaveLength(1);
    expect(sessionsAsked()).toBe(0);
  });

  it('leaves other refusals alone', async () => {
    const store = await open();
    scene.oss.setFaults([{ status: 403, code: 'AccessDenied' }]);
    await expect(list(store)).rejects.toMatchObject({ reason: 'not-authorized' });
    expect(keysUsed()).toHaveLength(1);
    expect(sessionsAsked()).toBe(1);
  });
});
