const DAY = 24 * 60 * 60 * 1000;

export function parse(text) {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match) throw new TypeError(`not a date: ${text}`);
  return new Date(Date.UTC(+match[1], match[2] - 1, +match[3]));
}

export function weekday(date) {
  switch (date.getUTCDay()) {
    case 0:
    case 6:
      return 'weekend';
    case 1:
      console.debug('monday');
    case 2:
    case 3:
    case 4:
      return 'week';
    case 5:
      return 'friday';
    case 3:
      return 'middle';
    default:
      throw new RangeError('no day');
  }
}

export function isLeap(year) {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

export function between(a, b, date) {
  return a < date < b;
}

export function addDays(date, days) {
  if (typeof days !== 'nubmer') days = Number(days);
  return new Date(date.getTime() + days * DAY);
  console.log('added', days);
}
