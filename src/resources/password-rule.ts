/** What a password of a user must be. Figures: login-and-profile.md 4.2 (lib/defaults/defaults.go). */

/** Length in UTF-8. */
export const PASSWORD_BYTES = { least: 12, most: 128 } as const;
