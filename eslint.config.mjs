import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import prettier from 'eslint-config-prettier';
import globals from 'globals';
import tseslint from 'typescript-eslint';

export default tseslint.config(
    {
        ignores: ['**/lib/', '**/node_modules/', '.venv/', 'build/', 'dist/', 'workbench/', 'docs/']
    },
    { plugins: { jupyter } },
    ...jupyter.configs.recommended,
    {
        files: ['labextension/src/**/*.ts'],
        extends: [
            js.configs.recommended,
            tseslint.configs.strictTypeChecked,
            tseslint.configs.stylisticTypeChecked
        ],
        languageOptions: {
            globals: globals.browser,
            parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname }
        },
        rules: {
            '@typescript-eslint/unbound-method': 'off',
            '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }]
        }
    },
    {
        rules: {
            'jupyter/no-untranslated-string': 'error',
            // what loads at start is small, and what is not (log, form, charts) is imported where it is opened
            'jupyter/prefer-lazy-imports': 'off'
        }
    },
    {
        files: ['**/*.spec.ts', '**/testing.ts'],
        rules: {
            'jupyter/no-untranslated-string': 'off',
            'jupyter/incorrect-translator-usage': 'off'
        }
    },
    prettier
);
