import { InvalidInput } from '../errors.ts';
import type { EnvironmentName } from '../messages.ts';
import type { Transaction } from './database.ts';

export type WorkspaceKind = 'standard' | 'basic';

export interface Workspace {
  id: number;
  name: string;
  kind: WorkspaceKind;
  createdAt: Date;
}

/** The environments that must be Connected before anything of a data source is collected. */
export function requiredEnvironments(kind: WorkspaceKind): readonly EnvironmentName[] {
  return kind === 'standard' ? ['development', 'production'] : ['production'];
}

/** Lower case letters, digits, `-` and `_`, a letter first, 63 characters at most: the name stands in addresses. */
export const WORKSPACE_NAME = /^[a-z][a-z0-9_-]{0,62}$/;

const columns = 'id, name, kind, created_at as "createdAt"';

/** Makes the workspace if it is not there; an existing one keeps its kind. System transaction. */
export async function ensureWorkspace(tx: Transaction, name: string, kind: WorkspaceKind): Promise<Workspace> {
  if (!WORKSPACE_NAME.test(name))
    throw InvalidInput.at(
      'workspace',
      `'${name}' is not a name: lower case letters, digits, - and _, a letter first, 63 at most`,
    );
  await tx.query('insert into workspace (name, kind) values ($1, $2) on conflict (name) do nothing', [name, kind]);
  return (await findWorkspace(tx, name))!;
}

/** System transaction. */
export async function findWorkspace(tx: Transaction, name: string): Promise<Workspace | undefined> {
  return (await tx.query<Workspace>(`select ${columns} from workspace where name = $1`, [name]))[0];
}

/** All of them by name; system transaction. */
export async function listWorkspaces(tx: Transaction): Promise<Workspace[]> {
  return tx.query<Workspace>(`select ${columns} from workspace order by name`);
}
