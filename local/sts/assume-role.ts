import type { Identities, Principal } from './identities.ts';
import { Policy, type PolicyInput } from './policy.ts';
import { StsProblem } from './problem.ts';

const MIN_SECONDS = 900;
const STANDARD_SECONDS = 3600;

/**
 * AssumeRole as the service decides it: the caller needs `sts:AssumeRole`, the role must trust the caller, and where its
 * trust policy asks for an ExternalId, exactly that one must be given.
 */
export function assumeRole(parameters: ReadonlyMap<string, string>, caller: Principal, identities: Identities, now: Date) {
  const arn = parameters.get('RoleArn') ?? '';
  if (!/^acs:ram::\d+:role\/[\w.@-]+$/i.test(arn))
    throw new StsProblem(400, 'InvalidParameter.RoleArn', 'The parameter RoleArn is wrongly formed.');
  const session = parameters.get('RoleSessionName') ?? '';
  if (!/^[\w.@-]{2,64}$/.test(session))
    throw new StsProblem(400, 'InvalidParameter.RoleSessionName', 'The parameter RoleSessionName is wrongly formed.');
  const role = identities.role(arn);
  if (!role) throw new StsProblem(404, 'EntityNotExist.Role', `The role not exists: ${arn}`);
  const durationSeconds = Number(parameters.get('DurationSeconds') || STANDARD_SECONDS);
  if (!Number.isInteger(durationSeconds) || durationSeconds < MIN_SECONDS || durationSeconds > (role.maxSessionSeconds ?? 3600))
    throw new StsProblem(
      400,
      'InvalidParameter.DurationSeconds',
      'The Min/Max value of DurationSeconds is 15min/MaxSessionDuration.',
    );
  const policy = readSessionPolicy(parameters.get('Policy'));
  const mayAssume = caller.allows({ action: 'sts:AssumeRole', resource: arn, context: {} });
  const isTrusted = role.trusted.some((trusted) => trusts(trusted, caller.arn, identities.accountId));
  const hasExternalId = role.externalId === undefined || parameters.get('ExternalId') === role.externalId;
  if (!mayAssume || !isTrusted || !hasExternalId)
    throw new StsProblem(
      403,
      'NoPermission',
      'You are not authorized to do this action. You should be authorized by RAM, and the role must trust you.',
    );
  const keys = identities.issue(role, { name: session, durationSeconds, now, ...(policy && { policy }) });
  return {
    AssumedRoleUser: {
      Arn: `${role.arn.replace(/^acs:ram:/, 'acs:sts:').replace(':role/', ':assumed-role/')}/${session}`,
      AssumedRoleId: `${identities.accountId}:${session}`,
    },
    Credentials: {
      AccessKeyId: keys.accessKeyId,
      AccessKeySecret: keys.accessKeySecret.reveal(),
      SecurityToken: keys.securityToken.reveal(),
      Expiration: keys.expiresAt.toISOString().replace(/\.\d+Z$/, 'Z'),
    },
  };
}

function readSessionPolicy(text: string | undefined): PolicyInput | undefined {
  if (!text) return undefined;
  if (text.length > 2048) throw new StsProblem(400, 'InvalidParameter.PolicySize', 'The policy is longer than 2048 characters.');
  try {
    const policy = JSON.parse(text) as PolicyInput;
    Policy.parse(policy);
    return policy;
  } catch {
    throw new StsProblem(400, 'InvalidParameter.PolicyGrammar', 'The parameter Policy has not passed grammar check.');
  }
}

/** An account's root stands for every identity of that account, and for sessions of its roles. */
function trusts(trusted: string, caller: string, accountId: string): boolean {
  if (trusted === '*' || trusted === caller) return true;
  if (trusted === `acs:ram::${accountId}:root`) return true;
  const assumed = caller.replace(/^acs:sts:/, 'acs:ram:').replace(':assumed-role/', ':role/');
  return assumed.startsWith(`${trusted}/`);
}
