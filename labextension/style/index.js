import './base.css';
import './capacity.css';
import './log.css';
