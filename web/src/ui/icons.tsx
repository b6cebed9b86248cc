const SHAPES = {
  accounts: 'M16 19v-1a4 4 0 0 0-4-4H7a4 4 0 0 0-4 4v1M9.5 10a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M17 11a3 3 0 0 0 0-6M21 19v-1a4 4 0 0 0-3-3.8',
  alert: 'M12 4L2.8 20h18.4zM12 10v4M12 17h.01',
  back: 'M15 5l-7 7 7 7',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  clock: 'M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18',
  code: 'M8 7l-5 5 5 5M16 7l5 5-5 5',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  cross: 'M6 6l12 12M18 6L6 18',
  deliveries: 'M4 6h16M4 12h16M4 18h10',
  dots: 'M5 12h.01M12 12h.01M19 12h.01',
  down: 'M6 9l6 6 6-6',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  hook: 'M17 4v10a5.5 5.5 0 0 1-11 0v-2.5l4 4',
  key: 'M14 10a4 4 0 1 0-2.8 3.8L14 16.5h2.5V19H19v2h2v-3.5l-7.2-6.3',
  minus: 'M6 12h12',
  moon: 'M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5',
  out: 'M14 4h5v16h-5M4 12h11M11 8l4 4-4 4',
  pause: 'M9 5v14M15 5v14',
  plus: 'M12 5v14M5 12h14',
  posts: 'M5 4h14v16H5zM9 9h6M9 13h6',
  replay: 'M4 5v5h5M4.6 10A8 8 0 1 1 4 14',
  retry: 'M20 5v5h-5M19.4 10A8 8 0 1 0 20 14',
  send: 'M21 3L10 14M21 3l-7 18-4-7-7-4z',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1 1M17.4 17.4l1 1M5.6 18.4l1-1M17.4 6.6l1-1',
  system: 'M4 5h16v11H4zM9 20h6M12 16v4',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={SHAPES[name]} />
    </svg>
  );
}
