import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes, useId } from 'react';
import { flushSync } from 'react-dom';
import type { Faults } from '../api';

interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | undefined;
  /** Shown beside the field, for example a button that fills it. */
  beside?: ReactNode;
}

interface Wiring {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': true | undefined;
}

/** The ids of the hint and error of the field `id`, for screen readers. */
function describedBy(id: string, hint: ReactNode, error: string | undefined): string | undefined {
  return [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
}

function Notes({ id, hint, error }: { id: string; hint?: ReactNode; error: string | undefined }) {
  return (
    <>
      {error && (
        <p className="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
      {hint && (
        <p className="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </>
  );
}

function Frame({ label, hint, error, beside, children }: FieldProps & { children: (wiring: Wiring) => ReactNode }) {
  const id = useId();
  const described = describedBy(id, hint, error);
  return (
    <div className={`field ${error ? 'field-wrong' : ''}`}>
      <label htmlFor={id}>{label}</label>
      <div className="field-row">
        {children({ id, 'aria-describedby': described, 'aria-invalid': error ? true : undefined })}
        {beside}
      </div>
      <Notes id={id} hint={hint} error={error} />
    </div>
  );
}

export function TextField({ label, hint, error, beside, ...input }: FieldProps & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <Frame label={label} hint={hint} error={error} beside={beside}>
      {(wiring) => <input type="text" {...input} {...wiring} />}
    </Frame>
  );
}

export function TextArea({ label, hint, error, beside, ...input }: FieldProps & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return (
    <Frame label={label} hint={hint} error={error} beside={beside}>
      {(wiring) => <textarea {...input} {...wiring} />}
    </Frame>
  );
}

interface SelectProps<Value extends string> extends FieldProps, Omit<SelectHTMLAttributes<HTMLSelectElement>, 'value' | 'onChange'> {
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: NoInfer<Value>) => void;
}

export function SelectField<Value extends string>({ label, hint, error, beside, options, onChange, ...select }: SelectProps<Value>) {
  return (
    <Frame label={label} hint={hint} error={error} beside={beside}>
      {(wiring) => (
        <select {...select} {...wiring} onChange={(event) => onChange(event.target.value as Value)}>
          {options.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Frame>
  );
}

interface CheckBoxProps extends InputHTMLAttributes<HTMLInputElement> {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | undefined;
}

export function CheckBox({ label, hint, error, ...input }: CheckBoxProps) {
  const id = useId();
  const described = describedBy(id, hint, error);
  return (
    <div className="check">
      <input {...input} type="checkbox" id={id} aria-describedby={described} aria-invalid={error ? true : undefined} />
      <div>
        <label htmlFor={id}>{label}</label>
        <Notes id={id} hint={hint} error={error} />
      </div>
    </div>
  );
}

export function Group({ title, about, error, children }: { title: string; about?: ReactNode; error?: string | undefined; children: ReactNode }) {
  const id = useId();
  const described = describedBy(id, about, error);
  return (
    <fieldset className="group" aria-describedby={described} aria-invalid={error ? true : undefined} tabIndex={error ? -1 : undefined}>
      <legend>{title}</legend>
      <div className="group-body">
        {about && (
          <p className="group-about" id={`${id}-hint`}>
            {about}
          </p>
        )}
        <Notes id={id} error={error} />
        {children}
      </div>
    </fieldset>
  );
}

/** Errors that belong to no field of this form. */
export function OtherFaults({ faults, known }: { faults: Faults; known: readonly string[] }) {
  const others = [...faults].filter(([path]) => !known.some((name) => path === name || path.startsWith(`${name}.`)));
  if (others.length === 0) return null;
  return (
    <div className="notice tone-bad" role="alert" tabIndex={-1}>
      <div className="notice-text">
        {others.map(([path, message]) => (
          <div key={path}>{message}</div>
        ))}
      </div>
    </div>
  );
}

/** Errors for times that are only partly filled in, by field name: browsers report their value as empty. */
export function halfFilled(form: HTMLFormElement | null): Faults {
  const times = form?.querySelectorAll<HTMLInputElement>('input[type="datetime-local"]') ?? [];
  return new Map([...times].filter((time) => time.validity.badInput).map((time) => [time.name, 'Complete the date and the time, or clear them.']));
}

/** Makes a form busy before this returns, so that a second submit in the same moment finds it busy. */
export function atOnce(makeBusy: () => void): void {
  flushSync(makeBusy);
}

/** Shows a form's errors, and moves the focus to the first wrong field, or to the errors that have no field. */
export function showFaults(form: HTMLFormElement | null, show: () => void): void {
  // Rendered at once: the query below looks for fields marked as invalid.
  flushSync(show);
  const place = form?.querySelector<HTMLElement>('[aria-invalid="true"]') ?? form?.querySelector<HTMLElement>('[role="alert"]');
  // Blurred first: screen readers announce nothing if the focus is there already.
  place?.blur();
  place?.focus({ preventScroll: true });
  // Together with its label: for a field alone, WebKit scrolls no further than to the caret.
  (place?.closest('.field') ?? place)?.scrollIntoView({ block: 'nearest' });
}
