import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';
import { Button, Notice } from './basics';

interface DialogProps {
  title: ReactNode;
  children: ReactNode;
  onClose(): void;
}

/** The browser's own modal dialog: it holds the focus, closes on Escape and gives the focus back. */
export function Dialog({ title, children, onClose }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const pressedBeside = useRef(false);
  const id = useId();
  // A layout effect, because it is undone while the dialog still stands in the page: only then does the focus go back.
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      // A press beside it closes it, but not a selection that began in a field and ended out there.
      onPointerDown={(event) => {
        pressedBeside.current = event.target === element.current;
      }}
      onClick={(event) => event.target === element.current && pressedBeside.current && onClose()}
    >
      <div className="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: ReactNode;
  children: ReactNode;
  action: string;
  keep?: string;
  busy: boolean;
  /** Why it was not done, said here: what is said beside a dialog is neither seen nor heard. */
  problem?: string | null;
  onConfirm(): void;
  onClose(): void;
}

export function Confirm({ title, children, action, keep = 'Keep it', busy, problem = null, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="dialog-text">{children}</div>
      {problem !== null && <Notice tone="bad" urgent title={problem} />}
      <div className="dialog-actions">
        <Button onClick={onClose}>{keep}</Button>
        <Button kind="danger" busy={busy} onClick={onConfirm}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
