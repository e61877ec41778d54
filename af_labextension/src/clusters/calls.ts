import type { IServer } from '../tokens';
import {
  readCluster,
  readDashboards,
  readLogs,
  readSnapshot,
  readTypes
} from './read';
import type {
  ICluster,
  IClusterRequest,
  IClusterTypes,
  IDashboard,
  ILog,
  ISnapshot,
  Scale
} from './types';

/** The questions about clusters, one method each. All throw `RequestError`. */
export class ClusterCalls {
  constructor(private readonly server: IServer) {}

  async types(): Promise<IClusterTypes> {
    return readTypes(await this.server.json('clusters/types'));
  }

  async list(): Promise<ISnapshot> {
    return readSnapshot(await this.server.json('clusters'));
  }

  async make(request: IClusterRequest): Promise<ICluster> {
    return this.change('clusters', 'POST', request);
  }

  async scale(id: string, scale: Scale): Promise<ICluster> {
    return this.change(address(id), 'PATCH', { scale });
  }

  /** Shut a cluster down, or take one that failed off the list. */
  async stop(id: string): Promise<void> {
    await this.server.json(address(id), { method: 'DELETE' });
  }

  /** The dashboards of a cluster; their addresses are good for a while only. */
  async dashboards(id: string): Promise<readonly IDashboard[]> {
    return readDashboards(await this.server.json(address(id, 'dashboards')));
  }

  /** So many last lines of scheduler and workers. */
  async logs(id: string, lines: number): Promise<readonly ILog[]> {
    const path = `${address(id, 'logs')}?lines=${lines}`;
    return readLogs(await this.server.json(path));
  }

  /** Python code that connects a client to a cluster. */
  async code(id: string): Promise<string> {
    const answer = await this.server.json<{ code: string }>(
      address(id, 'code')
    );
    return answer.code;
  }

  private async change(
    path: string,
    method: 'POST' | 'PATCH',
    body: unknown
  ): Promise<ICluster> {
    const raw = await this.server.json<Record<string, unknown>>(path, {
      method,
      body
    });
    const found = readCluster(raw);
    if (found === null) {
      throw new Error('The server sent an answer that cannot be read.');
    }
    return found;
  }
}

function address(id: string, what?: string): string {
  const base = `clusters/${encodeURIComponent(id)}`;
  return what === undefined ? base : `${base}/${what}`;
}
