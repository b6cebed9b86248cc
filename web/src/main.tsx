import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
import './style/base.css';
import './style/parts.css';
import './style/panels.css';
import './style/forms.css';
import './style/tables.css';
import './style/code.css';
import './style/overlays.css';
import './style/frame.css';
import './style/webhooks.css';
import './style/chart.css';
import './style/deliveries.css';
import './style/publishing.css';
import './style/print.css';
import { App } from './app';
import { applyTheme } from './ui/theme';

applyTheme();
const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
