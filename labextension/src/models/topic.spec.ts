import { nested, parse, Topic } from './topic';

describe('Topic', () => {
  it('has what the server has after each message', () => {
    const topic = new Topic();
    expect(topic.take({ topic: 'runs', seq: 1, state: { a: 1, b: 2 } })).toBe(true);
    expect(topic.take({ topic: 'runs', seq: 2, set: { a: 3, c: 4 }, gone: ['b'] })).toBe(true);
    expect(topic.members).toEqual({ a: 3, c: 4 });
  });

  it('refuses what follows a message that is missing, and begins anew with a whole state', () => {
    const topic = new Topic();
    topic.take({ topic: 'runs', seq: 1, state: { a: 1 } });
    expect(topic.take({ topic: 'runs', seq: 3, set: { a: 2 }, gone: [] })).toBe(false);
    expect(topic.members).toEqual({ a: 1 });
    expect(topic.take({ topic: 'runs', seq: 1, state: { a: 9 } })).toBe(true);
    expect(topic.members).toEqual({ a: 9 });
  });
});

describe('parse', () => {
  it.each([
    '',
    '{',
    '[]',
    'null',
    '1',
    '{"topic":1}',
    '{"topic":"runs","seq":1}',
    '{"topic":"runs","seq":2,"set":{},"gone":[1]}'
  ])('reads nothing from %s', text => {
    expect(parse(text)).toBeNull();
  });

  it('reads a refusal', () => {
    expect(parse('{"topic":"run/x","error":{"message":"There is no run"}}')).toEqual({
      topic: 'run/x',
      message: 'There is no run'
    });
  });
});

it('puts members of a nested object into it', () => {
  expect(nested({ id: 'a', 'snapshot.word': 'Idle', 'snapshot.ran': 1 })).toEqual({
    id: 'a',
    snapshot: { word: 'Idle', ran: 1 }
  });
});
