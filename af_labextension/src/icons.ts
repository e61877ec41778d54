import { LabIcon } from '@jupyterlab/ui-components';

import daskSvg from '../style/icons/dask.svg';
import dashboardSvg from '../style/icons/dashboard.svg';
import dataSvg from '../style/icons/data.svg';
import insertSvg from '../style/icons/insert.svg';
import logsSvg from '../style/icons/logs.svg';
import scaleSvg from '../style/icons/scale.svg';
import unknownSvg from '../style/icons/unknown.svg';

export const dataIcon = new LabIcon({ name: 'af:data', svgstr: dataSvg });

export const daskIcon = new LabIcon({ name: 'af:dask', svgstr: daskSvg });

export const dashboardIcon = new LabIcon({
  name: 'af:dashboard',
  svgstr: dashboardSvg
});

export const logsIcon = new LabIcon({ name: 'af:logs', svgstr: logsSvg });

/** Another number of workers. */
export const scaleIcon = new LabIcon({ name: 'af:scale', svgstr: scaleSvg });

/** Put code into the notebook. */
export const insertIcon = new LabIcon({
  name: 'af:insert',
  svgstr: insertSvg
});

/** An entry of which only the name is known. */
export const unknownIcon = new LabIcon({
  name: 'af:unknown',
  svgstr: unknownSvg
});
