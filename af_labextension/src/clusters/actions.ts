import type { ICluster, IDashboard, Scale } from './types';

/** What a card can ask for. Promises end when the server has answered; they never reject. */
export interface ICardActions {
  scale(cluster: ICluster, scale: Scale): Promise<void>;
  dashboards(cluster: ICluster): Promise<readonly IDashboard[]>;
  openDashboard(cluster: ICluster, title: string): void;
  openLogs(cluster: ICluster): void;
  insert(cluster: ICluster): Promise<void>;
  shutdown(cluster: ICluster): Promise<void>;
  /** Take a cluster that failed off the list. */
  dismiss(cluster: ICluster): Promise<void>;
  /** Ask again for a cluster that could not be made. */
  again(cluster: ICluster): Promise<void>;
}
