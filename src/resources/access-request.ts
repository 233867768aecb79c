/** Access requests as people read them: `tsh request show -f yaml`. Source: Teleport 18.3.0, types.proto. */
import type { Resource } from './types.js';

/** By number: what `spec.state` means. */
export const REQUEST_STATES = ['NONE', 'PENDING', 'APPROVED', 'DENIED', 'PROMOTED'] as const;
export type RequestState = (typeof REQUEST_STATES)[number];

/** One thing in a cluster, `/cluster/kind/name` in short. */
export interface ResourceId {
  cluster: string;
  kind: string;
  name: string;
  sub_resource?: string;
}

export interface AccessReview {
  author: string;
  proposed_state?: number;
  reason?: string;
  created?: string;
}

export interface AccessRequestSpec {
  user: string;
  roles: string[];
  state?: number;
  /** RFC 3339, as all times here. */
  created?: string;
  /** End of the access that is asked for. */
  expires?: string;
  request_reason?: string;
  resolve_reason?: string;
  reviews?: AccessReview[];
  suggested_reviewers?: string[];
  resource_ids?: ResourceId[];
  max_duration?: string;
  session_ttl?: string;
  /** From when on an approved request can be used. */
  assume_start_time?: string;
  /** End of the request itself. */
  expiry?: string;
  [other: string]: unknown;
}

export type AccessRequest = Resource<'access_request', 'v3', AccessRequestSpec>;

/** What a person asks for. */
export interface NewAccessRequest {
  user: string;
  /** `*`: all that may be requested. */
  roles?: string[];
  resources?: ResourceId[];
  reason?: string | undefined;
  /** Reviewers who are suggested. */
  reviewers?: string[];
  /** End of the request itself. */
  expires?: Date | undefined;
  /** End of the access that is asked for. */
  accessExpires?: Date | undefined;
  maxDuration?: Date | undefined;
  /** RFC 3339 moment from when on it is used. */
  assumeStart?: Date | undefined;
}

/** What somebody decides about a request. */
export interface NewReview {
  /** Of the request. */
  id: string;
  author: string;
  isApproved: boolean;
  reason?: string | undefined;
}

export function stateOf(request: AccessRequest): RequestState {
  return REQUEST_STATES[request.spec.state ?? 0] ?? 'NONE';
}

/** `["/cluster/db/orders","/cluster/db/sales"]`, `''` for none. */
export function resourceIdsText(ids: readonly ResourceId[] | undefined): string {
  if (!ids?.length) return '';
  return JSON.stringify(ids.map(resourceIdText));
}

export function resourceIdText({ cluster, kind, name, sub_resource }: ResourceId): string {
  return `/${[cluster, kind, name, ...(sub_resource ? [sub_resource] : [])].join('/')}`;
}
