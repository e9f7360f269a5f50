import type { PolicyDocument } from '../credentials/access-policy.ts';
import { ramPolicyFor, trustPolicyFor } from '../credentials/access-policy.ts';
import type { EnvironmentConfig, WarehouseLocation } from '../data-source.ts';
import { formatWarehouse } from '../data-source-rules/warehouse.ts';
import type { OutboundTarget } from './outbound-door.ts';

/**
 * Every named cause of a failed or doubtful check: stable code → likely causes, most likely first, and what to do. Texts
 * speak to the person who owns the warehouse; what to paste stands at the end of a remedy.
 */

/** What the texts speak of. */
export interface CauseContext {
  config: Pick<EnvironmentConfig, 'accessMode' | 'roleArn' | 'accessKeyId' | 'externalId' | 'region' | 'endpoint' | 'location'>;
  /** Where the functions run; empty on a laptop. */
  ownRegion: string;
  form?: OutboundTarget['form'];
  /** What was found to be right instead: a region, a warehouse. */
  suggestion?: string;
  /** How far the clocks are apart. */
  skewSeconds?: number;
}

interface CauseText {
  causes(context: CauseContext): string[];
  remedy(context: CauseContext): string;
}

const internalOf = (region: string) => `oss-${region}-internal.aliyuncs.com`;
const isInternal = (context: CauseContext) => context.form === 'internal' || context.form === 'vpc';
const who = ({ config }: CauseContext) =>
  config.accessMode === 'ramRole' ? `role ${config.roleArn ?? ''}` : `the RAM user of AccessKey ${config.accessKeyId ?? ''}`;
const bucket = ({ config }: CauseContext) => `storage bucket ${config.location.bucket}`;
const policyFor = (location: WarehouseLocation) => paste(ramPolicyFor(location));
const paste = (document: PolicyDocument) => `\n${JSON.stringify(document, null, 2)}`;

const networkPolicies = (context: CauseContext): string[] => [
  ...(isInternal(context)
    ? ['the bucket policy admits only certain VPCs, and the functions run in another one']
    : ['the bucket is open to VPCs only (acs:SourceVpc), and this endpoint comes over the public network']),
  'the bucket policy has an IP allow-list (acs:SourceIp) without the address of the functions',
  `the bucket policy denies ${who(context)}`,
];

export const CAUSES = {
  'configuration-incomplete': {
    causes: () => ['a field is missing or is not in a usable form'],
    remedy: () => 'Open the data source, complete the fields that are marked, and save it.',
  },
  'endpoint-refused': {
    causes: () => ['the endpoint is not in a form that may be connected to'],
    remedy: ({ config }) => `Enter ${internalOf(config.region)}.`,
  },
  'endpoint-not-permitted': {
    causes: () => ['the endpoint is a custom domain or another service, and the operator does not permit it'],
    remedy: ({ config }) =>
      `Enter ${internalOf(config.region)}, or ask the operator to add the host to DATAMAP_ALLOWED_ENDPOINTS.`,
  },
  'dns-not-found': {
    causes: (context) => [
      'the region in the endpoint or the bucket is misspelt',
      ...(isInternal(context) ? ['the name service of the VPC was changed and does not know internal names'] : []),
      'there is no name service where the functions run',
    ],
    remedy: ({ config }) =>
      `Compare the endpoint with ${internalOf(config.region)} and the bucket with the OSS console, then test again.`,
  },
  'dns-timeout': {
    causes: () => ['the name service does not answer from where the functions run'],
    remedy: () => 'Check the DNS servers and security group of the VPC that the functions are attached to.',
  },
  'address-forbidden': {
    causes: () => [
      'the name leads to an address that is not public, so something other than OSS would be reached',
      'a private name service answers for this name',
    ],
    remedy: () =>
      'Correct the DNS record. If the address is right, the operator can permit this host in DATAMAP_ALLOWED_ENDPOINTS.',
  },
  'internal-endpoint-unreachable': {
    causes: ({ ownRegion, config }) => [
      ...(ownRegion !== '' && ownRegion !== config.region
        ? [
            `an internal endpoint is reached from its own region only: the functions run in ${ownRegion}, the endpoint is in ${config.region}`,
          ]
        : ['an internal endpoint is reached from inside its own region only']),
      'a security group or route of the VPC keeps 100.64.0.0/10 from being reached',
    ],
    remedy: ({ config, ownRegion }) =>
      ownRegion !== '' && ownRegion !== config.region
        ? `Run the functions in ${config.region}, or use the public endpoint oss-${config.region}.aliyuncs.com with a NAT gateway.`
        : `Allow outgoing TCP 443 to 100.64.0.0/10; from outside ${config.region} use oss-${config.region}.aliyuncs.com.`,
  },
  'public-network-unreachable': {
    causes: () => [
      'the functions are attached to a VPC without a NAT gateway, so they cannot reach the public network',
      'a firewall or security group keeps outgoing TCP 443 away',
      'public access of the functions is switched off',
    ],
    remedy: ({ config }) =>
      `Use the internal endpoint ${internalOf(config.region)} when the functions run in ${config.region}; otherwise give their VPC a NAT gateway with an SNAT entry.`,
  },
  'host-unreachable': {
    causes: () => ['nothing listens at this host and port, or a firewall keeps it away'],
    remedy: () => 'Check that the object store runs and can be reached from where the functions run.',
  },
  'tls-failed': {
    causes: () => [
      'something between here and OSS opens TLS connections (a proxy or firewall)',
      'the certificate of the custom domain has expired or is for another name',
    ],
    remedy: () =>
      'Look at the certificate that this host shows from the network of the functions, and correct it or the network.',
  },
  'no-answer': {
    causes: (context) => [
      'the connection stands but no answer comes: a proxy or firewall holds the traffic',
      ...(isInternal(context) ? [] : ['the public connection is congested']),
    ],
    remedy: () => 'Test again; if it stays so, look at the network between the functions and the endpoint.',
  },
  'not-oss': {
    causes: () => ['what answers at this host is not OSS: a proxy, a sign-in page or another service'],
    remedy: ({ config }) =>
      `Enter the endpoint of OSS itself, for example ${internalOf(config.region)}. Redirects are not followed.`,
  },
  throttled: {
    causes: () => ['OSS limits the requests of this account or bucket at the moment'],
    remedy: () => 'Test again in a few minutes; ask Alibaba Cloud for a higher limit if it happens often.',
  },
  'server-error': {
    causes: () => ['the service had an internal error'],
    remedy: () => 'Test again in a few minutes; give the request id to Alibaba Cloud support if it stays.',
  },
  'clock-skew': {
    causes: ({ skewSeconds }) => [
      skewSeconds === undefined
        ? 'the clock here and the clock of OSS are more than 15 minutes apart'
        : `the clock here is ${Math.abs(skewSeconds)} s ${skewSeconds > 0 ? 'ahead of' : 'behind'} that of OSS`,
    ],
    remedy: () => 'Set the clock of the machine (NTP). OSS refuses requests that are more than 15 minutes off.',
  },
  'clock-unknown': {
    causes: () => ['the answer carried no time'],
    remedy: () => 'Nothing has to be done unless a later check names the clock.',
  },
  'secret-unreadable': {
    causes: () => ['the encryption key was changed after the secret was saved', 'the stored secret was moved or damaged'],
    remedy: () => 'Enter the AccessKey secret again, or add the earlier key to DATAMAP_ENCRYPTION_KEY.',
  },
  'key-service-refused': {
    causes: () => [
      'the key service (KMS) does not decrypt the encryption key for the functions',
      'KMS cannot be reached from where the functions run',
    ],
    remedy: () =>
      'Ask the operator: the functions need kms:Decrypt on the key (kms_key_arn in deploy/), and DATAMAP_KMS_ENDPOINT where the public endpoint cannot be reached.',
  },
  'function-identity-missing': {
    causes: () => ['the functions have no role of their own, so they cannot assume another one'],
    remedy: () => 'Give the functions a service role that may call sts:AssumeRole (deploy/ has it), or use an AccessKey.',
  },
  'function-identity-rejected': {
    causes: () => ['the token service does not accept the identity of the functions themselves'],
    remedy: () => 'Ask the operator to check the service role or the keys that the functions run with.',
  },
  'sts-unreachable': {
    causes: () => [
      'the token service (STS) cannot be reached from where the functions run',
      'their VPC has neither a NAT gateway nor the VPC endpoint of STS configured',
    ],
    remedy: () => 'Ask the operator to set DATAMAP_STS_ENDPOINT to sts-vpc.<region>.aliyuncs.com, or to add a NAT gateway.',
  },
  'role-missing': {
    causes: () => ['the role does not exist: wrong name, wrong account, or deleted'],
    remedy: ({ config }) =>
      `Copy the ARN of the role from the RAM console and compare it with ${config.roleArn ?? 'the one entered'}.`,
  },
  'role-not-trusted': {
    causes: () => [
      'the trust policy of the role does not name our identity',
      'the trust policy asks for another external id than the one of this data source',
      'our own identity may not call sts:AssumeRole on this role',
    ],
    remedy: ({ config }) =>
      `Set the trust policy of ${config.roleArn ?? 'the role'} to the following, with the operator's role as principal:${paste(
        trustPolicyFor({ principalArn: "acs:ram::<operator's account>:role/datamap-reader", externalId: config.externalId }),
      )}`,
  },
  'access-key-unknown': {
    causes: () => ['the AccessKey ID is wrong, disabled or deleted'],
    remedy: () => 'Look in the RAM console whether the AccessKey exists and is enabled, and enter ID and secret again.',
  },
  'access-key-secret-wrong': {
    causes: () => ['the AccessKey secret does not belong to this AccessKey ID', 'a character was lost when it was pasted'],
    remedy: () => 'Enter the secret again. It is shown only once when a key is made: make a new one if it is lost.',
  },
  'session-rejected': {
    causes: () => ['the temporary keys of the role are not accepted any more, for example because the role was changed'],
    remedy: () => 'Test again. If it stays, look at the role in the RAM console.',
  },
  'account-disabled': {
    causes: () => ['the Alibaba Cloud account has overdue payments', 'OSS is not activated or was disabled for this account'],
    remedy: () => 'Settle the account in the billing console and look at the state of OSS; then test again.',
  },
  'bucket-not-found': {
    causes: (context) => [`there is no ${bucket(context)}: misspelt, or deleted`, 'the bucket belongs to another cloud or site'],
    remedy: () => 'Copy the bucket from the OSS console into the warehouse.',
  },
  'bucket-other-region': {
    causes: ({ suggestion, config }) => [
      suggestion
        ? `the bucket lies in ${suggestion}, the environment says ${config.region}`
        : `the bucket does not lie in ${config.region}, where this endpoint leads`,
    ],
    remedy: ({ suggestion }) =>
      suggestion
        ? `Set the region to ${suggestion} and the endpoint to ${internalOf(suggestion)}.`
        : 'Look up the region of the bucket in the OSS console; set region and endpoint to it.',
  },
  'bucket-info-denied': {
    causes: () => ['the identity may not call oss:GetBucketInfo, so the region of the bucket could not be compared'],
    remedy: (context) =>
      `Collecting works without it. To have it checked, attach to ${who(context)}:${policyFor(context.config.location)}`,
  },
  'custom-domain-required': {
    causes: () => ['accounts that began to use OSS after 2025-03-20 cannot read over the public endpoint in mainland China'],
    remedy: ({ config }) =>
      `Use ${internalOf(config.region)} with the functions in ${config.region}, or bind a custom domain to the bucket and ask the operator to permit it.`,
  },
  'path-style-refused': {
    causes: () => ['this host wants the bucket in front of its name'],
    remedy: ({ config }) => `Enter the endpoint of OSS by its name, for example ${internalOf(config.region)}.`,
  },
  'list-denied': {
    causes: (context) => [
      `${who(context)} lacks oss:ListObjects below ${formatWarehouse(context.config.location)}`,
      'the permission has a prefix condition for another path',
      ...networkPolicies(context),
    ],
    remedy: (context) => `Attach this policy to ${who(context)}:${policyFor(context.config.location)}`,
  },
  'read-denied': {
    causes: (context) => [
      `${who(context)} lacks oss:GetObject below ${formatWarehouse(context.config.location)}`,
      'the permission names other paths of the bucket',
      ...networkPolicies(context),
    ],
    remedy: (context) => `Attach this policy to ${who(context)}:${policyFor(context.config.location)}`,
  },
  'bucket-policy-denied': {
    causes: networkPolicies,
    remedy: (context) =>
      isInternal(context)
        ? `Look at the Deny rules of the policy of ${bucket(context)}, and admit the VPC or the addresses of the functions.`
        : `Use the internal endpoint ${internalOf(context.config.region)} from inside the VPC, or admit the functions' addresses in the policy of ${bucket(context)}.`,
  },
  'ram-policy-denied': {
    causes: (context) => [`a Deny rule in a RAM policy of ${who(context)} matches this request`],
    remedy: () => 'Look for Deny rules in all policies of this identity: they win over every permission.',
  },
  'vpc-policy-denied': {
    causes: () => ['the policy of the VPC that the functions run in does not admit this bucket'],
    remedy: (context) => `Add ${bucket(context)} to the policy of the VPC's OSS gateway endpoint.`,
  },
  'kms-denied': {
    causes: (context) => [
      `the objects are encrypted with a KMS key that ${who(context)} may not use`,
      'the KMS key is disabled or scheduled for deletion',
    ],
    remedy: (context) =>
      `Allow kms:Decrypt (and kms:GenerateDataKey) on the bucket's key for ${who(context)}, and check that the key is enabled.`,
  },
  'object-archived': {
    causes: () => ['the metadata was moved to an archive storage class by a lifecycle rule'],
    remedy: () => 'Restore the objects and keep metadata folders out of the lifecycle rule.',
  },
  'object-unreadable': {
    causes: () => ['the newest metadata object is no JSON: not a Paimon table, or damaged'],
    remedy: () => 'Nothing keeps the warehouse from being collected; this table will show its problem.',
  },
  'warehouse-empty': {
    causes: () => ['no database was created yet', 'the path is misspelt: OSS cannot tell a missing folder from an empty one'],
    remedy: ({ config }) => `Compare ${formatWarehouse(config.location)} with the warehouse option of the engine's catalog.`,
  },
  'warehouse-no-database': {
    causes: () => ['there are objects here, but no folder that ends in .db: the path is not that of a warehouse'],
    remedy: ({ config }) => `Compare ${formatWarehouse(config.location)} with the warehouse option of the engine's catalog.`,
  },
  'warehouse-no-tables': {
    causes: () => ['the databases hold no tables yet'],
    remedy: () => 'Nothing has to be done: tables appear with the next collection after they are made.',
  },
  'warehouse-is-database': {
    causes: () => ['the path is that of a database; its warehouse is one level up'],
    remedy: ({ suggestion }) => `Did you mean ${suggestion ?? 'the parent folder'}?`,
  },
  'warehouse-is-table': {
    causes: () => ['the path is that of a table; its warehouse is two levels up'],
    remedy: ({ suggestion }) => `Did you mean ${suggestion ?? 'the folder above its database'}?`,
  },
  'warehouse-is-parent': {
    causes: () => ['the path is above a warehouse'],
    remedy: ({ suggestion }) => `Did you mean ${suggestion ?? 'a folder below it'}?`,
  },
  'warehouse-other-format': {
    causes: ({ suggestion }) => [`this is a table of another format${suggestion ? `: ${suggestion}` : ''}`],
    remedy: () => 'Enter the warehouse of a Paimon catalog.',
  },
  'out-of-time': {
    causes: () => ['the time for a whole test was used up by slow answers'],
    remedy: () => 'Test again; if it stays so, look at the network between the functions and OSS.',
  },
  unexpected: {
    causes: () => ['something that this check has no name for'],
    remedy: () => 'Test again. If it stays so, look in the log of test-connectivity for this test.',
  },
} satisfies Record<string, CauseText>;

export type CauseCode = keyof typeof CAUSES;

export function explain(code: CauseCode, context: CauseContext): { causeCode: CauseCode; causes: string[]; remedy: string } {
  const text: CauseText = CAUSES[code];
  return { causeCode: code, causes: text.causes(context), remedy: text.remedy(context) };
}
