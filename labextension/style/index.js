import './base.css';
import './capacity.css';
import './start.css';
import './charts.css';
import './panel.css';
import './log.css';
import './dask.css';
