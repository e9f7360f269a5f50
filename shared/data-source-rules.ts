import type { DataSourceInput, EnvironmentInput, Finding, WarehouseLocation } from './data-source.ts';
import { classifyEndpoint, NOTHING_PERMITTED, type PermittedEndpoints } from './data-source-rules/endpoint.ts';
import { isMainland, nearestRegion, REGIONS } from './data-source-rules/regions.ts';
import { formatWarehouse, parseWarehouse, relation } from './data-source-rules/warehouse.ts';
import { InvalidInput } from './errors.ts';
import type { EnvironmentName } from './messages.ts';

export { formatWarehouse, parseWarehouse } from './data-source-rules/warehouse.ts';

/**
 * Everything that can be judged about a data source without the network. `console-api` answers errors with 400 at once,
 * `validate-config` applies the same rules with the other data sources of the workspace in view. Pure.
 */

export interface RuleContext {
  workspaceKind: 'standard' | 'basic';
  /** Environments whose secret is in the store and stays there, so that the input need not bring it. */
  secretsKept?: readonly EnvironmentName[];
  permitted?: PermittedEndpoints;
  /** Where the other data sources of the workspace lie. */
  others?: readonly OtherLocation[];
}

export interface OtherLocation {
  dataSourceName: string;
  environment: EnvironmentName;
  warehouse: string | null;
}

const NAMES: readonly EnvironmentName[] = ['development', 'production'];

/**
 * Findings in the order of the form. An `error` keeps a data source from being saved, except as a draft: there, whatever
 * concerns an environment is told as a warning, and what is merely missing as information.
 */
export function judgeDataSource(input: DataSourceInput, context: RuleContext): Finding[] {
  const findings = [...judgeNames(input), ...judgeWorkspace(input, context)];
  for (const name of NAMES) {
    const environment = input.environments[name];
    if (environment) findings.push(...judgeEnvironment(name, environment, context));
  }
  findings.push(...judgePlaces(input, context));
  return input.draft ? findings.map(soften) : findings;
}

/** True when nothing keeps this configuration from being tested. */
export function isAcceptable(findings: readonly Finding[]): boolean {
  return findings.every((finding) => finding.severity !== 'error');
}

/**
 * A stored secret goes only where it was entered for: a change of endpoint, region, bucket, access mode, role or key id
 * needs it again (and empties it otherwise).
 */
export function secretMustBeGivenAgain(before: SecretTarget, after: SecretTarget): boolean {
  const same = (a: string | null | undefined, b: string | null | undefined) => (a ?? '') === (b ?? '');
  return !(
    same(before.endpoint, after.endpoint) &&
    same(before.region, after.region) &&
    same(bucketOf(before.warehouse), bucketOf(after.warehouse)) &&
    same(before.accessMode, after.accessMode) &&
    same(before.roleArn, after.roleArn) &&
    same(before.accessKeyId, after.accessKeyId)
  );
}

/** The fields of an environment that say who is told a secret; null and undefined: not filled in. */
export type SecretTarget = {
  [Field in 'accessMode' | 'roleArn' | 'accessKeyId' | 'region' | 'endpoint' | 'warehouse']?: string | null | undefined;
};

function bucketOf(warehouse: string | null | undefined): string | undefined {
  return /^oss:\/\/([^/]*)/.exec(warehouse ?? '')?.[1];
}

function judgeNames(input: DataSourceInput): Finding[] {
  const findings: Finding[] = [];
  if (!/^[A-Za-z][A-Za-z0-9_]{0,254}$/.test(input.name))
    findings.push({
      code: 'name-form',
      severity: 'error',
      path: 'name',
      message: 'a data source name has up to 255 letters, digits and underscores and starts with a letter',
    });
  const catalog = input.catalog ?? '';
  if (catalog === '')
    findings.push(missing('catalog', 'the catalog name is missing', 'Enter the name that the engine gives this catalog.'));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  else if (/[\u0000-\u001f\u007f-\u009f`'"/\\]/.test(catalog) || catalog !== catalog.trim())
    findings.push({
      code: 'catalog-form',
      severity: 'error',
      path: 'catalog',
      message: 'a catalog name has no quotes, slashes or control characters, and no blanks at its ends',
      remedy: 'Enter the name as the engine declares it, without quotes.',
    });
  return findings;
}

function judgeWorkspace(input: DataSourceInput, { workspaceKind }: RuleContext): Finding[] {
  const needed: readonly EnvironmentName[] = workspaceKind === 'basic' ? ['production'] : NAMES;
  const findings: Finding[] = [];
  for (const name of NAMES) {
    const path = `environments.${name}`;
    if (needed.includes(name) && !input.environments[name])
      findings.push({
        ...missing(path, `the ${name} environment is missing`, `Fill in the ${name} environment.`),
        environment: name,
      });
    if (!needed.includes(name) && input.environments[name])
      findings.push({
        code: 'environment-not-in-workspace',
        severity: 'error',
        environment: name,
        path,
        message: `a basic workspace has no ${name} environment`,
        remedy: `Leave ${name} out, or use a standard workspace.`,
      });
  }
  return findings;
}

function judgeEnvironment(name: EnvironmentName, environment: EnvironmentInput, context: RuleContext): Finding[] {
  const at = (field: string) => ({ environment: name, path: `environments.${name}.${field}` });
  const findings: Finding[] = [];
  const add = (field: string, finding: Omit<Finding, 'path' | 'environment'>) => findings.push({ ...at(field), ...finding });
  const lacks = (field: string, message: string, remedy: string) =>
    findings.push({ ...missing(`environments.${name}.${field}`, message, remedy), environment: name });

  const { accessMode, roleArn, accessKeyId, accessKeySecret, region, endpoint, warehouse } = environment;
  if (!accessMode) lacks('accessMode', 'the access mode is missing', 'Choose ramRole or accessKey.');
  if (accessMode === 'ramRole') {
    if (!roleArn) lacks('roleArn', 'the role is missing', 'Enter the ARN of a RAM role that may read the warehouse.');
    else for (const finding of judgeRoleArn(roleArn)) add('roleArn', finding);
    for (const field of ['accessKeyId', 'accessKeySecret'] as const)
      if (environment[field]) add(field, notWith('ramRole', field));
  }
  if (accessMode === 'accessKey') {
    if (!accessKeyId) lacks('accessKeyId', 'the AccessKey ID is missing', 'Enter the AccessKey ID of a RAM user.');
    else for (const finding of judgeAccessKeyId(accessKeyId)) add('accessKeyId', finding);
    if (!accessKeySecret && !context.secretsKept?.includes(name))
      lacks(
        'accessKeySecret',
        'the AccessKey secret is missing',
        'Enter it. A stored secret is dropped when the place that it is sent to changes.',
      );
    else if (accessKeySecret && accessKeySecret !== accessKeySecret.trim())
      add('accessKeySecret', {
        code: 'access-key-secret-form',
        severity: 'error',
        message: 'there are blanks around the secret',
      });
    if (roleArn) add('roleArn', notWith('accessKey', 'roleArn'));
  }

  const regionIsKnown = region !== undefined && REGIONS.has(region);
  if (!region) lacks('region', 'the region is missing', 'Enter the region of the bucket, for example cn-hangzhou.');
  else if (!regionIsKnown) {
    const meant = nearestRegion(region);
    add('region', {
      code: 'region-unknown',
      severity: 'error',
      message: 'this is not a region that this version knows',
      remedy: meant ? `Did you mean ${meant}?` : `Known regions: ${[...REGIONS.keys()].join(', ')}.`,
    });
  }
  if (!endpoint)
    lacks('endpoint', 'the endpoint is missing', `Enter oss-${regionIsKnown ? region : '<region>'}-internal.aliyuncs.com.`);
  else for (const finding of judgeEndpoint(endpoint, regionIsKnown ? region : undefined, context)) add('endpoint', finding);
  if (!warehouse) lacks('warehouse', 'the warehouse is missing', 'Enter oss://bucket/path.');
  else for (const finding of judgeWarehouse(warehouse)) add('warehouse', finding);
  return findings;
}

type Judgement = Omit<Finding, 'path' | 'environment'>;

function judgeRoleArn(arn: string): Judgement[] {
  if (/^acs:ram::\d{5,20}:role\/[A-Za-z0-9._-]{1,64}$/.test(arn)) return [];
  const remedy = 'Copy the ARN from the role in the RAM console: acs:ram::1234567890123456:role/name.';
  const message = /:user\//.test(arn)
    ? 'this is the ARN of a RAM user, not of a role'
    : arn !== arn.trim()
      ? 'there are blanks around the ARN'
      : 'this is not the ARN of a RAM role';
  return [{ code: 'role-arn-form', severity: 'error', message, remedy }];
}

function judgeAccessKeyId(id: string): Judgement[] {
  if (/^STS\./i.test(id))
    return [
      {
        code: 'access-key-temporary',
        severity: 'error',
        message: 'this is a temporary AccessKey ID, which would stop working within hours',
        remedy: 'Use the AccessKey of a RAM user, or access mode ramRole.',
      },
    ];
  if (/^[A-Za-z0-9_-]{8,128}$/.test(id)) return [];
  return [
    {
      code: 'access-key-id-form',
      severity: 'error',
      message: 'an AccessKey ID has letters and digits only',
      remedy: 'Copy the AccessKey ID (not the secret) from the RAM console, without blanks.',
    },
  ];
}

function judgeEndpoint(text: string, region: string | undefined, { permitted = NOTHING_PERMITTED }: RuleContext): Judgement[] {
  const form = classifyEndpoint(text, permitted);
  switch (form.kind) {
    case 'permitted':
      return [];
    case 'refused':
      return [{ code: form.code, severity: 'error', message: form.message, remedy: form.remedy }];
    case 'custom':
      return [
        {
          code: 'endpoint-custom-domain',
          severity: 'warning',
          message:
            'this is not a host of Alibaba Cloud: a custom domain works when it is bound to this bucket and the operator permits it',
          remedy: `Use oss-${region ?? '<region>'}-internal.aliyuncs.com, or ask the operator to add the domain to DATAMAP_ALLOWED_ENDPOINTS.`,
        },
      ];
    case 'accelerate':
      return [
        {
          code: 'endpoint-accelerate',
          severity: 'warning',
          message: 'the acceleration endpoint goes over the public network and is charged by traffic',
          remedy: `Prefer oss-${region ?? '<region>'}-internal.aliyuncs.com.`,
        },
      ];
  }
  if (region !== undefined && form.region !== region)
    return [
      {
        code: 'endpoint-other-region',
        severity: 'error',
        message: `this is an endpoint of ${form.region} (${REGIONS.get(form.region)}), the region is ${region}`,
        remedy: `Enter ${form.host.replace(form.region, region)}, or set the region to ${form.region}.`,
      },
    ];
  if (form.kind === 'public' && isMainland(form.region))
    return [
      {
        code: 'endpoint-public-mainland',
        severity: 'info',
        message:
          'accounts that began to use OSS after 2025-03-20 cannot read over the public endpoint of a region in mainland China',
        remedy: `If the test says so, use oss-${form.region}-internal.aliyuncs.com or a custom domain.`,
      },
    ];
  return [];
}

function judgeWarehouse(text: string): Judgement[] {
  let location: WarehouseLocation;
  try {
    location = parseWarehouse(text);
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    const message = error.issues.map(({ issue }) => issue).join('; ');
    return [{ code: 'warehouse-form', severity: 'error', message, remedy: 'Enter it as oss://bucket/path.' }];
  }
  if (location.prefix === '')
    return [
      {
        code: 'warehouse-bucket-root',
        severity: 'warning',
        message: 'the warehouse is a whole bucket, so access is needed to all of it',
        remedy: 'Enter the folder that holds the databases, if there is one.',
      },
    ];
  if (!location.prefix.endsWith('.db/')) return [];
  const parent = { ...location, prefix: location.prefix.replace(/[^/]+\/$/, '') };
  return [
    {
      code: 'warehouse-looks-like-database',
      severity: 'warning',
      message: 'a folder that ends in .db is a database, not a warehouse',
      remedy: `Did you mean ${formatWarehouse(parent)}?`,
    },
  ];
}

function judgePlaces(input: DataSourceInput, { others = [] }: RuleContext): Finding[] {
  const findings: Finding[] = [];
  const places = NAMES.flatMap((environment) => {
    const location = locate(input.environments[environment]?.warehouse);
    return location ? [{ environment, location }] : [];
  });
  const [first, second] = places;
  if (first && second) {
    const how = relation(first.location, second.location);
    if (how !== 'apart')
      findings.push({
        code: how === 'same' ? 'environments-same-place' : 'environments-overlap',
        severity: 'warning',
        environment: second.environment,
        path: `environments.${second.environment}.warehouse`,
        message:
          how === 'same'
            ? 'development and production point at the same place'
            : 'one environment lies inside the other: its tables would be seen twice',
        remedy: 'Give each environment a warehouse of its own.',
      });
  }
  for (const { environment, location } of places) {
    for (const other of others) {
      const theirs = locate(other.warehouse);
      const how = theirs ? relation(location, theirs) : 'apart';
      if (how === 'apart') continue;
      const whose = `${other.environment} of data source ${other.dataSourceName}`;
      findings.push({
        code: how === 'same' ? 'warehouse-same' : 'warehouse-overlap',
        severity: 'warning',
        environment,
        path: `environments.${environment}.warehouse`,
        message:
          how === 'same'
            ? `the same warehouse belongs to ${whose}`
            : how === 'inside'
              ? `this lies inside the warehouse of ${whose}`
              : `the warehouse of ${whose} lies inside this one`,
        remedy: 'Collecting one place twice costs twice and shows its tables twice. Keep one of the two.',
      });
    }
  }
  return findings;
}

function locate(warehouse: string | null | undefined): WarehouseLocation | undefined {
  if (!warehouse) return undefined;
  try {
    return parseWarehouse(warehouse);
  } catch (error) {
    if (error instanceof InvalidInput) return undefined;
    throw error;
  }
}

function missing(path: string, message: string, remedy: string): Finding {
  return { code: 'missing', severity: 'error', path, message, remedy };
}

function notWith(accessMode: string, field: string): Judgement {
  return {
    code: 'field-not-used',
    severity: 'warning',
    message: `${field} has no meaning with access mode ${accessMode}`,
    remedy: 'Leave it out.',
  };
}

function soften(finding: Finding): Finding {
  if (finding.severity !== 'error' || finding.path === 'name') return finding;
  return { ...finding, severity: finding.code === 'missing' ? 'info' : 'warning' };
}
