import { about, bytes, gpuHours, memory, percent, seconds, tasks } from './format';

it.each([
  [0.2, '0.2 s'],
  [8.24, '8.2 s'],
  [9.97, '10 s'],
  [59.4, '59 s'],
  [101, '1:41'],
  [7625, '2:07:05']
])('writes %d seconds as %s', (value, text) => {
  expect(seconds(value)).toBe(text);
});

it.each([
  [40, '40 s'],
  [304, '5 min 04 s'],
  [6720, '1 h 52 min']
])('writes %d seconds to go as %s', (value, text) => {
  expect(about(value)).toBe(text);
});

it('writes what is missing as n/a', () => {
  expect(percent(null)).toBe('n/a');
  expect(memory(undefined, 1)).toBe('n/a');
});

it('writes shares, memory and GPU-hours', () => {
  expect(percent(70.6)).toBe('71 %');
  expect(memory(66 * 2 ** 30, 141 * 2 ** 30)).toBe('66 / 141 GiB');
  expect(memory(0.9 * 2 ** 30, 141 * 2 ** 30)).toBe('0.9 / 141 GiB');
  expect(memory(1.4 * 2 ** 40, 3.13 * 2 ** 40)).toBe('1.4 / 3.1 TiB');
  expect(memory(4 * 2 ** 30, 8 * 2 ** 30)).toBe('4.0 / 8 GiB');
  expect(bytes(8 * 2 ** 30)).toBe('8 GiB');
  expect(bytes(1.5 * 2 ** 30)).toBe('1.5 GiB');
  expect(gpuHours(1620)).toBe('0.45 GPU-h');
  expect(gpuHours(2)).toBe('2 GPU-s');
});

it.each([
  [7460, '7,460 tasks/s'],
  [74.62, '74.6 tasks/s'],
  [0.25, '4 s/task'],
  [0, ''],
  [null, '']
])('writes %s tasks a second as %s', (value, text) => {
  expect(tasks(value)).toBe(text);
});
