import { createHmac, randomBytes } from 'node:crypto';
import { Secret } from '../../shared/credentials/secret.ts';
import { equal } from '../signatures/acs3.ts';
import { judge, Policy, type PolicyInput, type Request } from './policy.ts';

/** Who may do what on the local platform: users with access keys, roles, and the temporary keys of assumed roles. */

export interface LocalUser {
  accessKeyId: string;
  accessKeySecret: Secret;
  /** Default `local`. */
  name?: string;
  /** Left out: everything is allowed. */
  policies?: PolicyInput[];
  /** Answers as an account in arrears does. */
  disabled?: boolean;
}

export interface LocalRole {
  /** `acs:ram::{account}:role/{name}` */
  arn: string;
  /** ARNs of users, roles or accounts (`acs:ram::{account}:root`) that may assume it; `*` for anyone. */
  trusted: string[];
  /** Asked of whoever assumes it. */
  externalId?: string;
  policies?: PolicyInput[];
  /** Default 3600. */
  maxSessionSeconds?: number;
}

export interface Principal {
  arn: string;
  secret: Secret;
  disabled: boolean;
  allows(request: Request): boolean;
}

export type IdentityProblem = 'unknown' | 'token-missing' | 'token-invalid' | 'token-expired';

export interface TemporaryKeys {
  accessKeyId: string;
  accessKeySecret: Secret;
  securityToken: Secret;
  expiresAt: Date;
}

export interface Identities {
  readonly accountId: string;
  /** Adds, or replaces the one with the same key id. */
  putUser(user: LocalUser): void;
  removeUser(accessKeyId: string): void;
  putRole(role: LocalRole): void;
  removeRole(arn: string): void;
  role(arn: string): LocalRole | undefined;
  resolve(accessKeyId: string, securityToken?: string, now?: Date): Principal | IdentityProblem;
  /** Keys of `role`, narrowed to `policy` where there is one. Does not ask whether the caller may. */
  issue(role: LocalRole, session: { name: string; policy?: PolicyInput; durationSeconds: number; now?: Date }): TemporaryKeys;
}

/** What a token carries, signed; so temporary keys outlive a restart as long as the signing secret does. */
interface TokenContent {
  id: string;
  role: string;
  session: string;
  /** Epoch seconds. */
  until: number;
  policy?: PolicyInput;
}

/** `signingSecret` makes and checks tokens; left out, tokens die with the process. */
export function openIdentities(options: { accountId: string; signingSecret?: Secret }): Identities {
  const { accountId } = options;
  const signingSecret = options.signingSecret?.reveal() ?? randomBytes(32).toString('hex');
  const sign = (text: string) => createHmac('sha256', signingSecret).update(text).digest('base64url');
  const users = new Map<string, { user: LocalUser; policies: Policy[] | undefined }>();
  const roles = new Map<string, { role: LocalRole; policies: Policy[] | undefined }>();
  const secretOf = (accessKeyId: string) => new Secret(sign(`secret of ${accessKeyId}`));
  const parse = (policies: PolicyInput[] | undefined) => policies?.map((policy) => Policy.parse(policy));

  function readToken(token: string): TokenContent | undefined {
    const [body = '', mac = ''] = token.split('.');
    if (!equal(mac, sign(body))) return undefined;
    return JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as TokenContent;
  }

  return {
    accountId,
    putUser: (user) => void users.set(user.accessKeyId, { user, policies: parse(user.policies) }),
    removeUser: (accessKeyId) => void users.delete(accessKeyId),
    putRole: (role) => void roles.set(role.arn.toLowerCase(), { role, policies: parse(role.policies) }),
    removeRole: (arn) => void roles.delete(arn.toLowerCase()),
    role: (arn) => roles.get(arn.toLowerCase())?.role,

    resolve(accessKeyId, securityToken, now = new Date()) {
      if (!accessKeyId.startsWith('STS.')) {
        const found = users.get(accessKeyId);
        if (!found) return 'unknown';
        const { user, policies } = found;
        return {
          arn: `acs:ram::${accountId}:user/${user.name ?? 'local'}`,
          secret: user.accessKeySecret,
          disabled: user.disabled ?? false,
          allows: (request) => policies === undefined || judge(policies, request) === 'allowed',
        };
      }
      if (!securityToken) return 'token-missing';
      const content = readToken(securityToken);
      if (!content || content.id !== accessKeyId) return 'token-invalid';
      if (content.until * 1000 <= now.getTime()) return 'token-expired';
      const found = roles.get(content.role.toLowerCase());
      if (!found) return 'token-invalid';
      const session = content.policy && [Policy.parse(content.policy)];
      return {
        arn: `${content.role.replace(/^acs:ram:/, 'acs:sts:').replace(':role/', ':assumed-role/')}/${content.session}`,
        secret: secretOf(accessKeyId),
        disabled: false,
        allows: (request) =>
          (found.policies === undefined || judge(found.policies, request) === 'allowed') &&
          (session === undefined || judge(session, request) === 'allowed'),
      };
    },

    issue(role, session) {
      const now = session.now ?? new Date();
      const accessKeyId = `STS.${randomBytes(12).toString('hex')}`;
      const until = Math.floor(now.getTime() / 1000) + session.durationSeconds;
      const content: TokenContent = {
        id: accessKeyId,
        role: role.arn,
        session: session.name,
        until,
        ...(session.policy && { policy: session.policy }),
      };
      const body = Buffer.from(JSON.stringify(content)).toString('base64url');
      return {
        accessKeyId,
        accessKeySecret: secretOf(accessKeyId),
        securityToken: new Secret(`${body}.${sign(body)}`),
        expiresAt: new Date(until * 1000),
      };
    },
  };
}
