import type { FunctionConfig } from './deployment.ts';
import type { FunctionKeys } from './instance.ts';

/**
 * Everything that a function process sees: the variables that Function Compute sets, the function's own, and the local
 * overrides. Nothing of the platform's own environment passes. Source: Function Compute documentation, "Environment variables".
 */
export function functionEnvironment(options: {
  config: FunctionConfig;
  codeDir: string;
  instanceId: string;
  accountId: string;
  keys?: FunctionKeys;
  overrides: Record<string, string>;
}): Record<string, string> {
  const { config, codeDir, instanceId, accountId, keys, overrides } = options;
  return {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: '/tmp',
    TZ: 'UTC',
    ...config.environmentVariables,
    ...overrides,
    FC_ACCOUNT_ID: accountId,
    FC_FUNC_CODE_PATH: codeDir,
    FC_FUNCTION_HANDLER: config.handler,
    FC_FUNCTION_MEMORY_SIZE: String(config.memorySize),
    FC_FUNCTION_NAME: config.functionName,
    FC_INSTANCE_ID: instanceId,
    FC_QUALIFIER: 'LATEST',
    FC_REGION: config.region,
    ...(keys && {
      ALIBABA_CLOUD_ACCESS_KEY_ID: keys.accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: keys.accessKeySecret,
      ...(keys.securityToken && { ALIBABA_CLOUD_SECURITY_TOKEN: keys.securityToken }),
    }),
  };
}
