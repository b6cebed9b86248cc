import { Component, type ReactNode } from 'react';
import { Button, Notice } from './basics';

interface BrokenProps {
  /** The page that is shown: an error ends when the person leaves its page. */
  page: string;
  children: ReactNode;
}

/** Says that a page broke, instead of leaving an empty window. */
export class Broken extends Component<BrokenProps, { page: string | null }> {
  override state = { page: null };

  static getDerivedStateFromError(): { page: string } {
    return { page: location.pathname };
  }

  override render(): ReactNode {
    if (this.state.page !== this.props.page) return this.props.children;
    return (
      <Notice tone="bad" urgent title="Something went wrong on this page" actions={<Button onClick={() => location.reload()}>Load it again</Button>}>
        This is not your fault, and nothing was lost. If it happens again, the browser's console has the details for an engineer.
      </Notice>
    );
  }
}
