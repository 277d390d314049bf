import { Scroll } from './scroll';

it('is the scroller itself where that is high enough', () => {
  const scroll = new Scroll(1000);
  scroll.resize(900, 100);
  expect(scroll.height).toBe(900);
  expect(scroll.moved(250)).toBe(true);
  expect([scroll.top, scroll.scrollTop]).toEqual([250, 250]);
  scroll.moved(800);
  expect(scroll.atEnd).toBe(true);
});

describe('of a log that is higher than an element can be', () => {
  let scroll: Scroll;

  beforeEach(() => {
    scroll = new Scroll(10_000);
    scroll.resize(1_000_000, 100);
  });

  it('has both ends', () => {
    scroll.moved(9900);
    expect(scroll.top).toBe(999_900);
    expect(scroll.atEnd).toBe(true);
    scroll.moved(0);
    expect(scroll.top).toBe(0);
  });

  it('goes a long way by share, and a short one as it is', () => {
    scroll.moved(4950);
    expect(scroll.top).toBe(499_950);
    scroll.moved(5000);
    expect(scroll.top).toBe(500_000);
    scroll.moved(4960);
    expect(scroll.top).toBe(499_960);
  });

  it('is put where it was, and that is no movement', () => {
    scroll.go(500_000);
    const rounded = Math.round(scroll.scrollTop);
    scroll.put(rounded);
    expect(scroll.moved(rounded)).toBe(false);
    expect(scroll.top).toBe(500_000);
  });

  it('goes short ways one after the other while the scroller is not put right', () => {
    scroll.moved(4950);
    for (let step = 1; step <= 20; step++) {
      scroll.moved(4950 + 50 * step);
      scroll.resize(1_000_000 + step, 100);
    }
    expect(scroll.top).toBe(499_950 + 20 * 50);
  });

  it('stays where it is when lines come', () => {
    scroll.go(123_456);
    scroll.resize(2_000_000, 100);
    expect(scroll.top).toBe(123_456);
  });
});

it('does not go beyond what there is', () => {
  const scroll = new Scroll();
  scroll.resize(50, 100);
  scroll.go(500);
  expect([scroll.top, scroll.bottom, scroll.atEnd]).toEqual([0, 0, true]);
});
