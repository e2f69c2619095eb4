"""Rules for written content: conversion, frames, file types, links. No database."""
