import schema from '../../schema/settings.json';
import { Preferences } from './preferences';

it('holds the defaults of the schema until it is told otherwise', () => {
  const { notifications, notifyAfter, toolbarButton } = schema.properties;
  const preferences = new Preferences();
  expect(preferences.notifications).toBe(notifications.default);
  expect(preferences.notifyAfter).toBe(60 * notifyAfter.default);
  expect(preferences.toolbarButton).toBe(toolbarButton.default);
});

it('takes what is set, tells it, and passes over what makes no sense', () => {
  const preferences = new Preferences();
  const told = vi.fn();
  preferences.changed.connect(told);
  preferences.take({ notifications: false, notifyAfter: 10, toolbarButton: false });
  expect(preferences).toMatchObject({
    notifications: false,
    notifyAfter: 600,
    toolbarButton: false
  });
  preferences.take({ notifications: 'x', notifyAfter: null });
  expect(preferences).toMatchObject({ notifications: true, notifyAfter: 120, toolbarButton: true });
  expect(told).toHaveBeenCalledTimes(2);
});
