import { useEffect, useState } from 'react';

type Props = { url: string; title?: string; onPick: (id: string) => void };
type Row = { id: string; label: string };

export function List({ url, title, onPick }: Props) {
  const [rows, setRows] = useState<Row[]>([]);

  if (!url) return null;

  useEffect(() => {
    const controller = new AbortController();
    fetch(url, { signal: controller.signal })
      .then((response) => response.json())
      .then(setRows)
      .catch(() => setRows([]));
    return () => controller.abort();
  }, [url]);

  return (
    <section>
      {title && <h2>{title}</h2>}
      <ul>
        {rows.map((row) => (
          <li onClick={() => onPick(row.id)}>{row.label}</li>
        ))}
      </ul>
    </section>
  );
}
