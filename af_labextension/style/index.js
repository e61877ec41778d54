import './base.css';
import './data.css';
import './dask.css';
