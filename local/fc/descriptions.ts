import type { FunctionConfig, Trigger } from './deployment.ts';

/** What the API tells about functions, in its own field names. The deployment file is the only source. */

export function describeFunction(config: FunctionConfig, accountId: string) {
  return {
    functionName: config.functionName,
    functionArn: `acs:fc:${config.region}:${accountId}:functions/${config.functionName}`,
    description: config.description ?? '',
    runtime: config.runtime,
    handler: config.handler,
    cpu: config.cpu,
    memorySize: config.memorySize,
    diskSize: config.diskSize,
    timeout: config.timeout,
    instanceConcurrency: 1,
    role: config.role ?? '',
    internetAccess: config.internetAccess ?? true,
    // Values may be secrets: names only.
    environmentVariables: Object.fromEntries(Object.keys(config.environmentVariables).map((name) => [name, '***'])),
    state: 'Active',
  };
}

export function describeTrigger(trigger: Trigger, config: FunctionConfig) {
  return {
    triggerName: trigger.triggerName,
    triggerId: `${config.functionName}-${trigger.triggerName}`,
    triggerType: trigger.triggerType,
    triggerConfig: JSON.stringify(trigger.triggerConfig),
    ...('sourceArn' in trigger && { sourceArn: trigger.sourceArn, invocationRole: trigger.invocationRole }),
    qualifier: trigger.qualifier ?? 'LATEST',
  };
}

export function describeService(serviceName: string) {
  return { serviceName, serviceId: serviceName, description: 'All functions of the local deployment' };
}
