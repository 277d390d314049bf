import './base.css';
import './capacity.css';
